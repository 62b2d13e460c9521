-- What devdb keeps of the databases that it makes, in the instance's maintenance database.
--
-- Who works on a database of that name holds the advisory lock _devdb.key(name) in its session,
-- taken before the first row is written. A killed process lets go of it, and what it left behind
-- (a row that is `making` or `dropping`, a name in _devdb.closed) is everybody's to mend.
--
-- Anybody who may connect somewhere can lock the rows that ALTER ROLE, ALTER DATABASE and DROP
-- DATABASE change, by a GRANT in a transaction that stays open. So what is due loses its sessions
-- before anything can wait; who calls has a lock_timeout, and a second session that calls unblock()
-- meanwhile; and what does not get its lock in time is left to the next round, as the last in turn.
--
-- Names are not qualified: devdb's sessions, and the reaper's, have pg_catalog for search_path from
-- their first message on.

CREATE SCHEMA IF NOT EXISTS _devdb;
REVOKE ALL ON SCHEMA _devdb FROM PUBLIC;

-- What an older devdb put there may differ in more than CREATE OR REPLACE can change.
DO $$
DECLARE
    old regprocedure;
BEGIN
    FOR old IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = '_devdb'::regnamespace
    LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', old);
    END LOOP;
END $$;

-- It had another name as long as there were temporary ones alone.
ALTER TABLE IF EXISTS _devdb.temporary RENAME TO databases;
CREATE TABLE IF NOT EXISTS _devdb.databases (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    role oid NOT NULL,
    state text NOT NULL DEFAULT 'making'
        CHECK (state IN ('making', 'ready', 'claimed', 'dropping')),
    created timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires timestamptz
);
-- The length of its password: entries that were made without saying so have the whole of it.
ALTER TABLE _devdb.databases ADD COLUMN IF NOT EXISTS characters integer NOT NULL DEFAULT 43;
-- When it was last tried to drop it.
ALTER TABLE _devdb.databases ADD COLUMN IF NOT EXISTS tried timestamptz;
-- `temporary`; `template` and `clone`, for tests; `shadow` and `test`, which stay.
ALTER TABLE _devdb.databases ADD COLUMN IF NOT EXISTS kind text NOT NULL DEFAULT 'temporary';
-- Whether `role` was made for it, bears its name, and goes with it; else it is the superuser.
ALTER TABLE _devdb.databases ADD COLUMN IF NOT EXISTS own_role boolean NOT NULL DEFAULT true;
-- Of a template: whose migrations built it.
ALTER TABLE _devdb.databases ADD COLUMN IF NOT EXISTS project text;

-- How older ones said that only a claimed one never expires.
DO $$
DECLARE
    old name;
BEGIN
    FOR old IN
        SELECT conname FROM pg_constraint
        WHERE conrelid = '_devdb.databases'::regclass AND contype = 'c'
          AND pg_get_constraintdef(oid) LIKE '%expires%'
    LOOP
        EXECUTE format('ALTER TABLE _devdb.databases DROP CONSTRAINT %I', old);
    END LOOP;
END $$;
ALTER TABLE _devdb.databases ADD CONSTRAINT ends CHECK (
    expires IS NOT NULL OR state IN ('claimed', 'dropping') OR kind IN ('shadow', 'test'));

-- Databases that devdb closed for a moment, and whose name may be paused in PgBouncer.
CREATE TABLE IF NOT EXISTS _devdb.closed (
    name text PRIMARY KEY,
    reopen boolean NOT NULL
);

CREATE FUNCTION _devdb.key(name text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT hashtextextended('devdb ' || name, 0) $$;

-- Wait for the lock of that name. Only a devdb can have it, which may have minutes of work to do.
CREATE FUNCTION _devdb.take(name text) RETURNS void
LANGUAGE sql SET lock_timeout = '2min' AS $$ SELECT pg_advisory_lock(_devdb.key(name)) $$;

-- Let go of them before the session ends, where that has many to do: however often it took them.
CREATE FUNCTION _devdb.let_go(names text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    held text;
BEGIN
    FOREACH held IN ARRAY names LOOP
        WHILE pg_advisory_unlock(_devdb.key(held)) LOOP
        END LOOP;
    END LOOP;
END $$;

-- The database of a row: of that name and owned by the row's role. One that somebody made under
-- the name later has another owner, and so has one that somebody took over by hand.
CREATE FUNCTION _devdb.database_of(t _devdb.databases) RETURNS oid
LANGUAGE sql STABLE AS $$
    SELECT oid FROM pg_database WHERE datname = t.name AND datdba = t.role
$$;

-- A claimed one never is: who drops it by hand may be about to make it anew, for the same role.
CREATE FUNCTION _devdb.is_due(t _devdb.databases) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT t.state IN ('making', 'dropping')
        OR t.state = 'ready' AND (t.expires <= clock_timestamp() OR _devdb.database_of(t) IS NULL)
$$;

CREATE VIEW _devdb.listing AS
SELECT t.id, t.name, t.characters, t.kind, t.own_role,
       CASE WHEN t.state = 'ready' AND t.expires <= clock_timestamp() THEN 'expired'
            ELSE t.state END AS state,
       t.created, t.expires,
       clock_timestamp() - t.created AS age,
       CASE WHEN t.expires IS NOT NULL
            THEN greatest(t.expires - clock_timestamp(), interval '0') END AS remaining,
       coalesce(pg_database_size(d.oid), 0) AS size,
       (SELECT count(*) FROM pg_stat_activity a
        WHERE a.datid = d.oid AND a.backend_type = 'client backend') AS sessions
FROM _devdb.databases t JOIN pg_database d ON d.oid = _devdb.database_of(t);

-- Making -----------------------------------------------------------------------------------

-- The row and the role, committed together before there is a database. The role cannot log in
-- yet, so that a half-made database lets nobody in. Returns the id; the lock is held from here on.
-- `owner`: whose it is to be instead of a role of its own. Without `ttl` it stays.
CREATE FUNCTION _devdb.enter(
    wanted text, ttl interval, password_characters integer DEFAULT 43,
    kind text DEFAULT 'temporary', owner text DEFAULT NULL, project text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    entered bigint;
BEGIN
    PERFORM _devdb.take(wanted);
    UPDATE _devdb.databases x SET state = 'dropping'
    WHERE name = wanted AND state = 'claimed' AND _devdb.database_of(x) IS NULL;
    IF FOUND THEN
        PERFORM _devdb.forget();
    END IF;
    IF EXISTS (SELECT FROM pg_database WHERE datname = wanted) THEN
        RAISE EXCEPTION 'database "%" already exists', wanted USING ERRCODE = 'duplicate_database';
    END IF;
    IF owner IS NULL THEN
        EXECUTE format(
            'CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS'
            -- More than its pool, which is at most half of them, and not all; a claimed one may.
            ' CONNECTION LIMIT %s IN ROLE devdb_temporary',
            wanted, current_setting('max_connections')::int * 3 / 5);
    END IF;
    INSERT INTO _devdb.databases (name, role, own_role, kind, project, expires, characters)
    SELECT wanted, oid, enter.owner IS NULL, enter.kind, enter.project,
           clock_timestamp() + ttl, password_characters
    FROM pg_roles WHERE rolname = coalesce(enter.owner, wanted)
    RETURNING id INTO entered;
    RETURN entered;
END $$;

-- Let its role in while it is still being made, to seed it; for no longer than a day.
CREATE FUNCTION _devdb.admit(made bigint, verifier text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L VALID UNTIL %L',
        (SELECT name FROM _devdb.databases WHERE id = made), verifier,
        clock_timestamp() + interval '1 day');
END $$;

-- Let its role load rows in any order while it is seeded. Two that change the rights on one setting
-- at the same time fail: they wait for each other. What gives it takes it back: finish() or forget().
CREATE FUNCTION _devdb.allow_replica(made bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('devdb replica'));
    EXECUTE format('GRANT SET ON PARAMETER session_replication_role TO %I',
        (SELECT name FROM _devdb.databases WHERE id = made));
END $$;

-- Whether there was anything to take back.
CREATE FUNCTION _devdb.disallow_replica(named text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('server_version_num')::int < 150000 OR NOT EXISTS (
        SELECT FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
        WHERE r.rolname = named AND d.refclassid = 'pg_authid'::regclass
          AND d.classid = to_regclass('pg_parameter_acl'))
    THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('devdb replica'));
    EXECUTE format('REVOKE SET ON PARAMETER session_replication_role FROM %I', named);
    RETURN true;
END $$;

-- From now on it is what its caller wanted, for `ttl`.
CREATE FUNCTION _devdb.finish(
    made bigint, verifier text, ttl interval,
    OUT created timestamptz, OUT expires timestamptz, OUT size bigint)
LANGUAGE plpgsql AS $$
DECLARE
    t _devdb.databases;
BEGIN
    created := clock_timestamp();
    expires := created + ttl;
    UPDATE _devdb.databases x
    SET state = 'ready', created = finish.created, expires = finish.expires
    WHERE id = made RETURNING * INTO STRICT t;
    IF t.kind <> 'clone' THEN -- its size is its template's; each of its files would be looked at
        size := pg_database_size(_devdb.database_of(t));
    END IF;
    IF NOT t.own_role THEN
        RETURN;
    ELSIF t.kind = 'template' THEN
        EXECUTE format('ALTER ROLE %I NOLOGIN', t.name);
        RETURN;
    END IF;
    EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L VALID UNTIL %L', t.name, verifier, expires);
    IF _devdb.disallow_replica(t.name) THEN
        -- With the right it had, it could set that for good.
        EXECUTE format('ALTER ROLE %I RESET session_replication_role', t.name);
        EXECUTE format('ALTER DATABASE %I RESET session_replication_role', t.name);
        EXECUTE format('ALTER ROLE %1$I IN DATABASE %1$I RESET session_replication_role', t.name);
    END IF;
END $$;

-- What the origin of a copy is set to (ALTER DATABASE ... SET), and its owner there: CREATE
-- DATABASE leaves that out.
CREATE FUNCTION _devdb.copy_settings(origin text, copy text) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO pg_db_role_setting (setdatabase, setrole, setconfig)
    SELECT c.oid, CASE WHEN s.setrole = 0 THEN 0 ELSE c.datdba END, s.setconfig
    FROM pg_database o
    JOIN pg_db_role_setting s ON s.setdatabase = o.oid AND s.setrole IN (0, o.datdba)
    JOIN pg_database c ON c.datname = copy
    WHERE o.datname = origin
$$;

-- The size of the template of that name, which is used once more: its lock is shared with all who
-- use it, so that nobody drops it meanwhile. Null: there is none.
CREATE FUNCTION _devdb.use_template(wanted text, ttl interval) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    size bigint;
BEGIN
    PERFORM pg_advisory_lock_shared(_devdb.key(wanted));
    UPDATE _devdb.databases x SET expires = greatest(expires, clock_timestamp() + ttl)
    WHERE name = wanted AND kind = 'template' AND state = 'ready'
      AND _devdb.database_of(x) IS NOT NULL
    RETURNING pg_database_size(_devdb.database_of(x)) INTO size;
    IF size IS NULL THEN
        PERFORM pg_advisory_unlock_shared(_devdb.key(wanted));
    END IF;
    RETURN size;
END $$;

-- The other templates of that project are due now, unless somebody used them a moment ago.
CREATE FUNCTION _devdb.outdate(owning text, besides text, ttl interval) RETURNS void
LANGUAGE sql AS $$
    UPDATE _devdb.databases SET expires = clock_timestamp()
    WHERE kind = 'template' AND state = 'ready' AND project = owning AND name <> besides
      AND expires < clock_timestamp() + ttl - interval '1 minute'
$$;

-- Clones that nobody needs any more are due now.
CREATE FUNCTION _devdb.release(names text[]) RETURNS void
LANGUAGE sql AS $$
    UPDATE _devdb.databases SET expires = clock_timestamp()
    WHERE kind = 'clone' AND state = 'ready' AND name = ANY (names)
$$;

-- Register a database that is there already and stays, where it is its owner's; whether it is
-- there.
CREATE FUNCTION _devdb.adopt(wanted text, kind text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO _devdb.databases (name, role, own_role, kind, state)
    SELECT wanted, datdba, false, adopt.kind, 'ready' FROM pg_database d
    JOIN pg_roles r ON r.oid = datdba
    WHERE datname = wanted AND rolname = session_user
    ON CONFLICT DO NOTHING;
    RETURN EXISTS (SELECT FROM pg_database WHERE datname = wanted);
END $$;

-- Keeping ----------------------------------------------------------------------------------

-- Raises when it is not there (DD001), claimed (DD002), or expired or not ready (DD003).
CREATE FUNCTION _devdb.living(wanted text) RETURNS _devdb.databases
LANGUAGE plpgsql AS $$
DECLARE
    t _devdb.databases;
BEGIN
    SELECT * INTO t FROM _devdb.databases
    WHERE name = wanted AND own_role AND kind <> 'template' FOR UPDATE;
    IF NOT FOUND OR _devdb.database_of(t) IS NULL THEN
        RAISE EXCEPTION '%', wanted USING ERRCODE = 'DD001';
    ELSIF t.state = 'claimed' THEN
        RAISE EXCEPTION '%', wanted USING ERRCODE = 'DD002';
    ELSIF t.state <> 'ready' OR t.expires <= clock_timestamp() THEN
        RAISE EXCEPTION '%', wanted USING ERRCODE = 'DD003';
    END IF;
    RETURN t;
END $$;

CREATE FUNCTION _devdb.extend(wanted text, ttl interval) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    t _devdb.databases := _devdb.living(wanted);
BEGIN
    PERFORM set_config('synchronous_commit', 'on', true);
    UPDATE _devdb.databases SET expires = clock_timestamp() + ttl
    WHERE id = t.id RETURNING * INTO t;
    EXECUTE format('ALTER ROLE %I VALID UNTIL %L', t.name, t.expires);
END $$;

-- Permanent from now on, under `new_name`; with another name the database must be closed.
CREATE FUNCTION _devdb.claim(wanted text, new_name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    t _devdb.databases := _devdb.living(wanted);
BEGIN
    PERFORM set_config('synchronous_commit', 'on', true);
    UPDATE _devdb.databases SET state = 'claimed', expires = NULL, name = new_name WHERE id = t.id;
    EXECUTE format('ALTER ROLE %I CONNECTION LIMIT -1 VALID UNTIL ''infinity''', wanted);
    EXECUTE format('REVOKE devdb_temporary FROM %I', wanted);
    EXECUTE format('GRANT devdb_claimed TO %I', wanted);
    IF new_name <> wanted THEN
        EXECUTE format('ALTER DATABASE %I RENAME TO %I', wanted, new_name);
        EXECUTE format('ALTER DATABASE %I ALLOW_CONNECTIONS true', new_name);
        EXECUTE format('ALTER ROLE %I RENAME TO %I', wanted, new_name);
    END IF;
END $$;

-- Who is in the way -------------------------------------------------------------------------

-- End the sessions of what has expired or is being dropped. It waits for nothing and nobody.
CREATE FUNCTION _devdb.expel() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_stat_clear_snapshot();
    PERFORM pg_terminate_backend(a.pid)
    FROM _devdb.databases t
    JOIN pg_stat_activity a
        ON t.own_role AND a.usesysid = t.role OR a.datid = _devdb.database_of(t)
    WHERE t.state = 'dropping' OR t.state = 'ready' AND t.expires <= clock_timestamp();
END $$;

-- Who keeps the session `waiting`, else the reaper's, from a lock, directly or through others; a
-- waiting session cannot look itself. Not the server's own (an autovacuum worker), nor who is just
-- being let in: these have no role yet, and are soon done. `devdbs`: it is a devdb's session.
-- `ended`: it was a temporary role's session, or one that had been idle in a transaction for more
-- than a minute, and was not a devdb's. `undo`: it is a temporary role's prepared transaction,
-- which has no session to end; it can only be rolled back from inside its database.
CREATE FUNCTION _devdb.unblock(waiting integer DEFAULT NULL)
RETURNS TABLE (
    ended boolean, undo boolean, devdbs boolean, pid integer, role text, database text,
    application text, transaction xid, seconds float8, query text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_stat_clear_snapshot();
    RETURN QUERY
    WITH RECURSIVE held_up (pid) AS (
        SELECT a.pid FROM pg_stat_activity a
        WHERE a.pid = waiting
           OR waiting IS NULL AND a.application_name = 'devdb-reaper'
              AND a.datname = current_database() AND a.pid <> pg_backend_pid()
        UNION
        SELECT unnest(pg_blocking_pids(h.pid)) FROM held_up h WHERE h.pid <> 0
    ), found AS (
        SELECT a.*, t.role IS NOT NULL AS is_temporary,
               (a.application_name LIKE 'devdb%' AND a.usename = session_user) IS TRUE AS devdbs
        FROM held_up h
        JOIN pg_stat_activity a ON a.pid = h.pid
        LEFT JOIN _devdb.databases t
            ON t.own_role AND t.role = a.usesysid AND t.state <> 'claimed'
        WHERE t.role IS NOT NULL
           OR a.usesysid IS NOT NULL
              AND a.pid IS DISTINCT FROM waiting AND a.application_name <> 'devdb-reaper'
    ), prepared AS (
        SELECT DISTINCT x.gid, x.transaction, x.prepared, x.owner, x.database,
               t.role IS NOT NULL AS undo
        FROM held_up h
        JOIN pg_locks w ON w.pid = h.pid AND NOT w.granted
        JOIN pg_locks g ON g.granted AND g.pid IS NULL AND g.locktype = w.locktype
            AND (g.database, g.relation, g.page, g.tuple) IS NOT DISTINCT FROM
                (w.database, w.relation, w.page, w.tuple)
            AND (g.transactionid, g.virtualxid, g.classid, g.objid, g.objsubid)
                IS NOT DISTINCT FROM
                (w.transactionid, w.virtualxid, w.classid, w.objid, w.objsubid)
        -- Each holds the lock of its own number.
        JOIN pg_locks o ON o.pid IS NULL AND o.virtualtransaction = g.virtualtransaction
            AND o.locktype = 'transactionid'
        JOIN pg_prepared_xacts x ON x.transaction = o.transactionid
        LEFT JOIN pg_roles r ON r.rolname = x.owner
        LEFT JOIN _devdb.databases t ON t.own_role AND t.role = r.oid AND t.state <> 'claimed'
    )
    SELECT CASE WHEN f.is_temporary
                OR NOT f.devdbs AND f.state LIKE 'idle in transaction%'
                   AND f.state_change < clock_timestamp() - interval '1 minute'
                THEN pg_terminate_backend(f.pid) ELSE false END,
           false, f.devdbs, f.pid, f.usename::text, f.datname::text, f.application_name, NULL::xid,
           extract(epoch FROM clock_timestamp() - f.xact_start)::float8, f.query
    FROM found f
    UNION ALL
    SELECT false, p.undo, false, NULL, p.owner::text, p.database::text, NULL, p.transaction,
           extract(epoch FROM clock_timestamp() - p.prepared)::float8, p.gid
    FROM prepared p;
END $$;

-- The prepared transactions in these databases, which keep them from being dropped. Whoever rolls
-- them back from inside can get in: their owner may have closed them.
CREATE FUNCTION _devdb.prepared(names text[]) RETURNS TABLE (transaction xid, database text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    wanted text;
BEGIN
    FOR wanted IN
        SELECT datname FROM pg_database
        WHERE datname = ANY (names) AND NOT datallowconn AND datconnlimit <> -2
          AND datname IN (SELECT x.database FROM pg_prepared_xacts x)
    LOOP
        BEGIN
            EXECUTE format('ALTER DATABASE %I ALLOW_CONNECTIONS true', wanted);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            RAISE WARNING 'devdb cannot open "%": %', wanted, SQLERRM;
        END;
    END LOOP;
    RETURN QUERY
    SELECT x.transaction, x.database::text FROM pg_prepared_xacts x WHERE x.database = ANY (names);
END $$;

-- Closing and opening ----------------------------------------------------------------------

-- Write down that it will be closed for a moment; from here on it can be paused in PgBouncer too.
-- Waits for the name's lock.
CREATE FUNCTION _devdb.announce(wanted text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM _devdb.take(wanted);
    INSERT INTO _devdb.closed AS c SELECT datname, datallowconn FROM pg_database
    WHERE datname = wanted
    ON CONFLICT (name) DO UPDATE SET reopen = c.reopen OR excluded.reopen;
END $$;

-- Nobody gets in any more; who is in stays until drain().
CREATE FUNCTION _devdb.close(announced text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER DATABASE %I ALLOW_CONNECTIONS false', announced);
END $$;

-- End the sessions on closed databases; false when some are still there after `seconds`.
-- DROP DATABASE and CREATE DATABASE wait in steps of 100 ms for sessions to go: this, of 1 ms.
CREATE FUNCTION _devdb.drain(names text[], seconds double precision DEFAULT 5)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + make_interval(secs => seconds);
BEGIN
    LOOP
        PERFORM pg_stat_clear_snapshot();
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = ANY (names) AND pid <> pg_backend_pid();
        IF NOT FOUND THEN
            RETURN true;
        ELSIF clock_timestamp() > deadline THEN
            RETURN false;
        END IF;
        PERFORM pg_sleep(0.001);
    END LOOP;
END $$;

-- Let people in again: to `chosen`, else to all that nobody is working on. Returns the names to
-- resume in PgBouncer; after that they are to be given to resumed().
CREATE FUNCTION _devdb.reopen(chosen text[] DEFAULT NULL) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    c _devdb.closed;
    begun timestamptz := clock_timestamp();
BEGIN
    FOR c IN SELECT * FROM _devdb.closed WHERE chosen IS NULL OR name = ANY (chosen) LOOP
        EXIT WHEN chosen IS NULL AND clock_timestamp() > begun + interval '5 s';
        CONTINUE WHEN NOT pg_try_advisory_lock(_devdb.key(c.name));
        BEGIN
            IF c.reopen THEN
                IF EXISTS (SELECT FROM pg_database WHERE datname = c.name AND NOT datallowconn) THEN
                    EXECUTE format('ALTER DATABASE %I ALLOW_CONNECTIONS true', c.name);
                END IF;
                UPDATE _devdb.closed SET reopen = false WHERE name = c.name;
            END IF;
            RETURN NEXT c.name;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF chosen IS NOT NULL THEN
                RAISE;
            END IF;
            RAISE WARNING 'devdb cannot open "%": %', c.name, SQLERRM;
        END;
    END LOOP;
END $$;

CREATE FUNCTION _devdb.resumed(names text[]) RETURNS void
LANGUAGE sql AS $$ DELETE FROM _devdb.closed WHERE name = ANY (names) $$;

-- Dropping ---------------------------------------------------------------------------------

-- Take `chosen`, else whatever is due and nobody works on, and let their roles in no more. Returns
-- the names of those that have a database: it is to be drained, rolled back what is prepared in it,
-- shut and dropped now, in this order. Of `chosen` all must be there, and none claimed unless
-- `claimed`.
CREATE FUNCTION _devdb.seize(chosen text[] DEFAULT NULL, claimed boolean DEFAULT false)
RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    t _devdb.databases;
    wanted text;
    begun timestamptz := clock_timestamp();
BEGIN
    IF chosen IS NULL THEN
        PERFORM _devdb.expel();
        FOR t IN
            SELECT * FROM _devdb.databases x WHERE _devdb.is_due(x)
            ORDER BY tried NULLS FIRST, name LIMIT 1000
        LOOP
            EXIT WHEN clock_timestamp() > begun + interval '5 s';
            IF pg_try_advisory_lock(_devdb.key(t.name)) AND _devdb.bar_due(t.id) THEN
                RETURN NEXT t.name;
            END IF;
        END LOOP;
        RETURN;
    END IF;
    FOR wanted IN SELECT DISTINCT name FROM unnest(chosen) AS name ORDER BY name LOOP
        PERFORM _devdb.take(wanted);
        UPDATE _devdb.databases SET state = 'dropping'
        WHERE name = wanted AND (claimed OR state <> 'claimed') RETURNING * INTO t;
        IF NOT FOUND THEN
            RAISE EXCEPTION '%', wanted USING ERRCODE = CASE
                WHEN EXISTS (SELECT FROM _devdb.databases WHERE name = wanted)
                THEN 'DD002' ELSE 'DD001' END;
        ELSIF _devdb.bar(t) THEN
            RETURN NEXT wanted;
        END IF;
    END LOOP;
END $$;

-- Whether there is a database to drop, if the entry is still due: it may have been claimed or
-- extended while the lock was somebody else's. One that resists must not keep the others alive.
CREATE FUNCTION _devdb.bar_due(entry bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    t _devdb.databases;
BEGIN
    UPDATE _devdb.databases x SET state = 'dropping'
    WHERE id = entry AND _devdb.is_due(x) RETURNING * INTO t;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    BEGIN
        RETURN _devdb.bar(t);
    EXCEPTION WHEN OTHERS THEN
        UPDATE _devdb.databases SET tried = clock_timestamp() WHERE id = entry;
        RAISE WARNING 'devdb cannot drop "%": %', t.name, SQLERRM;
        RETURN false;
    END;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    RETURN false;
END $$;

-- Keep its role out of a database that is about to be dropped; false when it is gone already.
CREATE FUNCTION _devdb.bar(t _devdb.databases) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    role text;
BEGIN
    IF _devdb.database_of(t) IS NULL THEN
        RETURN false;
    END IF;
    SELECT rolname INTO role FROM pg_roles WHERE oid = t.role AND t.own_role AND rolcanlogin;
    IF FOUND THEN
        EXECUTE format('ALTER ROLE %I NOLOGIN', role);
    END IF;
    INSERT INTO _devdb.closed VALUES (t.name, false)
    ON CONFLICT (name) DO UPDATE SET reopen = false;
    RETURN true;
END $$;

-- Keep everybody out of a database that is to be dropped now; false when somebody keeps its row
-- locked. Not before it was drained and has no prepared transaction: one that holds its row could
-- not be rolled back from inside any more.
CREATE FUNCTION _devdb.shut(wanted text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE _devdb.databases SET tried = clock_timestamp() WHERE name = wanted;
    -- -2 marks what an interrupted DROP DATABASE left: it can only be dropped, not altered.
    -- Its owner can make it a template, and a template cannot be dropped.
    IF EXISTS (
        SELECT FROM pg_database
        WHERE datname = wanted AND datconnlimit <> -2 AND (datallowconn OR datistemplate))
    THEN
        BEGIN
            EXECUTE format('ALTER DATABASE %I ALLOW_CONNECTIONS false IS_TEMPLATE false', wanted);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            RAISE WARNING 'devdb cannot drop "%": %', wanted, SQLERRM;
            RETURN false;
        END;
    END IF;
    RETURN true;
END $$;

-- Remove role and row of what has no database any more. A role that something else depends on
-- (a database or a table given to it by hand) stays, and so does its row, for the next round.
CREATE FUNCTION _devdb.forget() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    t _devdb.databases;
    r name;
    begun timestamptz := clock_timestamp();
BEGIN
    FOR t IN SELECT * FROM _devdb.databases x
        WHERE state = 'dropping' AND _devdb.database_of(x) IS NULL
        ORDER BY tried NULLS FIRST
    LOOP
        EXIT WHEN clock_timestamp() > begun + interval '5 s';
        CONTINUE WHEN NOT pg_try_advisory_lock(_devdb.key(t.name));
        SELECT rolname INTO r FROM pg_roles WHERE oid = t.role AND t.own_role;
        BEGIN
            IF FOUND THEN
                PERFORM _devdb.disallow_replica(r);
                EXECUTE format('DROP ROLE %I', r);
            END IF;
            DELETE FROM _devdb.databases WHERE id = t.id;
        EXCEPTION
            WHEN dependent_objects_still_exist OR lock_not_available OR deadlock_detected THEN
                UPDATE _devdb.databases SET tried = clock_timestamp() WHERE id = t.id;
                RAISE NOTICE 'devdb keeps the role "%": %', r, SQLERRM;
        END;
    END LOOP;
END $$;
