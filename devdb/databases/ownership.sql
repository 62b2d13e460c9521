-- The statements that give everything in this database to the role named by the setting devdb.owner.
--
-- Left alone: what Postgres made itself, members of extensions (their scripts count on the owner),
-- and what only a superuser can own (event triggers, foreign-data wrappers, languages).
WITH members AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
),
own_schemas AS (
    SELECT oid FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
objects (kind, identity, classid, objid, owned_by) AS (
    SELECT 'SCHEMA', quote_ident(nspname), 'pg_namespace'::regclass, oid, nspowner
    FROM pg_namespace
    WHERE oid IN (SELECT oid FROM own_schemas)
      -- Its owner is whoever owns the database, and should stay so.
      AND pg_get_userbyid(nspowner) <> 'pg_database_owner'
    UNION ALL
    SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                        WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE'
                        WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END,
           c.oid::regclass::text,
           CASE relkind WHEN 'c' THEN 'pg_type'::regclass ELSE 'pg_class'::regclass END,
           CASE relkind WHEN 'c' THEN c.reltype ELSE c.oid END,
           relowner
    FROM pg_class c
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
      AND relnamespace IN (SELECT oid FROM own_schemas)
      -- A sequence that belongs to a column follows its table.
      AND NOT (relkind = 'S' AND EXISTS (
          SELECT FROM pg_depend d
          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))
    UNION ALL
    SELECT 'ROUTINE', oid::regprocedure::text, 'pg_proc'::regclass, oid, proowner
    FROM pg_proc WHERE pronamespace IN (SELECT oid FROM own_schemas)
    UNION ALL
    SELECT CASE typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END,
           oid::regtype::text, 'pg_type'::regclass, t.oid, typowner
    FROM pg_type t
    WHERE typnamespace IN (SELECT oid FROM own_schemas)
      -- From 17 on a multirange follows its range, and refuses to be changed itself.
      AND (typtype IN ('b', 'd', 'e', 'r') OR typtype = 'm'
           AND current_setting('server_version_num')::integer < 170000)
      -- Arrays follow their elements.
      AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
    UNION ALL
    SELECT 'OPERATOR', oid::regoperator::text, 'pg_operator'::regclass, oid, oprowner
    FROM pg_operator WHERE oprnamespace IN (SELECT oid FROM own_schemas)
    UNION ALL
    SELECT 'OPERATOR CLASS', format('%s USING %I', identity, amname),
           'pg_opclass'::regclass, o.oid, opcowner
    FROM pg_opclass o JOIN pg_am a ON a.oid = opcmethod,
         format('%s.%I', opcnamespace::regnamespace, opcname) AS identity
    WHERE opcnamespace IN (SELECT oid FROM own_schemas)
    UNION ALL
    SELECT 'OPERATOR FAMILY', format('%s USING %I', identity, amname),
           'pg_opfamily'::regclass, o.oid, opfowner
    FROM pg_opfamily o JOIN pg_am a ON a.oid = opfmethod,
         format('%s.%I', opfnamespace::regnamespace, opfname) AS identity
    WHERE opfnamespace IN (SELECT oid FROM own_schemas)
    UNION ALL
    SELECT 'CONVERSION', format('%s.%I', connamespace::regnamespace, conname),
           'pg_conversion'::regclass, oid, conowner
    FROM pg_conversion WHERE connamespace IN (SELECT oid FROM own_schemas)
    UNION ALL
    SELECT 'COLLATION', format('%s.%I', collnamespace::regnamespace, collname),
           'pg_collation'::regclass, oid, collowner
    FROM pg_collation WHERE collnamespace IN (SELECT oid FROM own_schemas)
    UNION ALL
    SELECT 'TEXT SEARCH DICTIONARY', format('%s.%I', dictnamespace::regnamespace, dictname),
           'pg_ts_dict'::regclass, oid, dictowner
    FROM pg_ts_dict WHERE dictnamespace IN (SELECT oid FROM own_schemas)
    UNION ALL
    SELECT 'TEXT SEARCH CONFIGURATION', format('%s.%I', cfgnamespace::regnamespace, cfgname),
           'pg_ts_config'::regclass, oid, cfgowner
    FROM pg_ts_config WHERE cfgnamespace IN (SELECT oid FROM own_schemas)
    UNION ALL
    SELECT 'STATISTICS', format('%s.%I', stxnamespace::regnamespace, stxname),
           'pg_statistic_ext'::regclass, oid, stxowner
    FROM pg_statistic_ext WHERE stxnamespace IN (SELECT oid FROM own_schemas)
    UNION ALL
    SELECT 'LARGE OBJECT', oid::text, 'pg_largeobject'::regclass, oid, lomowner
    FROM pg_largeobject_metadata
    UNION ALL
    SELECT 'SERVER', quote_ident(srvname), 'pg_foreign_server'::regclass, oid, srvowner
    FROM pg_foreign_server
    UNION ALL
    SELECT 'PUBLICATION', quote_ident(pubname), 'pg_publication'::regclass, oid, pubowner
    FROM pg_publication
)
SELECT format('ALTER %s %s OWNER TO %I', kind, identity, current_setting('devdb.owner'))
FROM objects
WHERE pg_get_userbyid(owned_by) <> current_setting('devdb.owner')
  AND (classid, objid) NOT IN (SELECT classid, objid FROM members)
