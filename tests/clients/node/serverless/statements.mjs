// Statements in the order in which they are run, and such as have to fail.
import { outcome } from './compare.mjs'

export const STATEMENTS = [
  'DROP TABLE IF EXISTS told',
  `CREATE TABLE told (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text DEFAULT 'x', n numeric(10, 2))`,
  'CREATE INDEX ON told (text)',
  `COMMENT ON TABLE told IS 'a, "b"'`,
  'INSERT INTO told DEFAULT VALUES',
  `INSERT INTO told (text) VALUES ('a'), ('b'), (NULL)`,
  `INSERT INTO told (text, n) VALUES ('c', 1.5) RETURNING *`,
  `INSERT INTO told (text) SELECT 'd' FROM generate_series(1, 10) RETURNING id, id AS id, upper(text)`,
  'INSERT INTO told (text) SELECT text FROM told WHERE false',
  'SELECT * FROM told ORDER BY id',
  'SELECT id, n, text AS "Text ☃", told.ctid IS NULL FROM told WHERE id = 5',
  'SELECT * FROM told WHERE false',
  'SELECT',
  'SELECT FROM told',
  `SELECT 1 AS a, 2 AS a, 'x' AS b, 3 AS a`,
  'SELECT 1, 2, now() IS NULL',
  'TABLE told',
  `VALUES (1, 'a'), (2, NULL)`,
  'UPDATE told SET n = 2 WHERE id < 3',
  'UPDATE told SET n = 3 WHERE id < 4 RETURNING id, n',
  'UPDATE told SET n = 3 WHERE false',
  `WITH gone AS (DELETE FROM told WHERE text = 'd' RETURNING id) SELECT count(*) FROM gone`,
  'DELETE FROM told WHERE id < 3 RETURNING *',
  'DELETE FROM told WHERE false',
  'MERGE INTO told USING (VALUES (4)) AS new (id) ON told.id = new.id WHEN MATCHED THEN UPDATE SET n = 0',
  'EXPLAIN (COSTS OFF) SELECT * FROM told',
  'SHOW server_encoding',
  'SET LOCAL work_mem = 4096',
  `DO 'BEGIN RAISE NOTICE ''heard''; END'`,
  `CREATE OR REPLACE PROCEDURE nothing(INOUT n int) LANGUAGE sql AS 'SELECT 7'`,
  'CALL nothing(1)',
  'CREATE TABLE copied AS SELECT * FROM told',
  'ALTER TABLE copied ADD COLUMN more int',
  'SELECT * FROM copied',
  'TRUNCATE copied',
  'DROP TABLE copied',
  'LOCK TABLE told',
  'VACUUM told',
  'ANALYZE told',
  '',
  ' ',
  '-- nothing',
  'SELECT 1;',
  `SELECT /* ; */ ';' ; -- end`,
]

// What comes of each. They make a table of their own: its number may differ; so may the name of no
// command, which is null here and '' there, as Neon has it.
export async function told(ask) {
  const all = []
  for (const text of STATEMENTS) {
    const said = await outcome(() => ask(text))
    for (const field of said.fields ?? []) field.tableID = Boolean(field.tableID)
    if (said.command === '') said.command = null
    all.push(said)
  }
  return all
}

// To be run before those that fail.
export const GUARDED = `
  DROP TABLE IF EXISTS guarded, owner;
  CREATE TABLE owner (id int PRIMARY KEY);
  CREATE TABLE guarded (
    id int PRIMARY KEY, must text NOT NULL, n int CONSTRAINT "small n" CHECK (n < 10),
    owner int REFERENCES owner DEFERRABLE INITIALLY IMMEDIATE, p positive,
    span int4range, EXCLUDE USING gist (span WITH &&)
  );
  INSERT INTO guarded (id, must, span) VALUES (1, 'x', '[1,5)');
  CREATE OR REPLACE FUNCTION complain() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    RAISE 'no "way" of %', 'ours' USING DETAIL = 'of it', HINT = E'do\\nthis', ERRCODE = 'ZZ999',
      COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 'd', TABLE = 't', SCHEMA = 's';
  END $$;
  CREATE OR REPLACE FUNCTION inside() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE 'SELECT nowhere FROM guarded'; RETURN 1;
  END $$;
`

// [statement, values]
export const FAILURES = [
  [`INSERT INTO guarded (id, must) VALUES (1, 'x')`],
  ['INSERT INTO guarded (id) VALUES (2)'],
  [`INSERT INTO guarded (id, must, n) VALUES (2, 'x', 10)`],
  [`INSERT INTO guarded (id, must, owner) VALUES (2, 'x', 7)`],
  [`INSERT INTO guarded (id, must, p) VALUES (2, 'x', -1)`],
  [`INSERT INTO guarded (id, must, span) VALUES (2, 'x', '[4,9)')`],
  ['SELEC 1'],
  ['SELECT 😀, +'],
  ['SELECT * FROM nowhere'],
  ['SELECT idd FROM guarded'],
  ['SELECT nothing(1, 2, 3)'],
  ['SELECT 1 / 0'],
  ['SELECT 1 / $1::int', [0]],
  ['SELECT complain()'],
  ['SELECT inside()'],
  [`SELECT 'x'::int`],
  ['SELECT $1::int', ['x']],
  ['SELECT $1::int', ['99999999999']],
  ['SELECT $1::jsonb', ['{"a":']],
  ['SELECT $1::mood', ['glad']],
  ['SELECT $1::int[]', ['{1,']],
  ['SELECT $1::text', ['a\u0000b']],
  ['SELECT $1::int + $2::int', [1]],
  ['SELECT $1::int', [1, 2]],
  ['SELECT $1::int'],
  ['SELECT $1', [{}, 'more']],
  ['SELECT 1; SELECT 2'],
  ['DROP DATABASE nowhere'],
  ['DROP TABLE owner'],
  [`SET work_mem = 'much'`],
  ['SAVEPOINT a'],
  [`SELECT set_config('nowhere', 'x', false)`],
  [`DO 'BEGIN RAISE division_by_zero; END'`],
  [`DO 'BEGIN RAISE EXCEPTION '''' USING HINT = ''only that''; END'`],
  ['SELECT n FROM generate_series(1, 3) AS n WHERE 1 / (n - 3) < 5'],
]
