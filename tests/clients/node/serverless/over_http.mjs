// @neondatabase/serverless over fetch, beside node-postgres on the same database.
import { equal, match, ok, rejects } from 'node:assert'
import { Pool, neon, neonConfig } from '@neondatabase/serverless'
import pg from 'pg'
import { outcome, plain, refusal, result, same } from './compare.mjs'
import { common } from './settings.mjs'
import { FAILURES, GUARDED, STATEMENTS, told } from './statements.mjs'
import { until } from './until.mjs'
import { EXPRESSIONS, PARAMETERS, TYPES, WIDE } from './values.mjs'

const full = { fullResults: true }

// What node-postgres asks as a driver over HTTP has to: one statement, with parameters.
const extended = (text, values = []) => ({ text, values, queryMode: 'extended' })

export async function values({ url, reference }) {
  const sql = neon(url)
  await reference.query(TYPES)
  const [expected, actual] = await Promise.all([reference.query(WIDE), sql.query(WIDE, [], full)])
  for (const [i, expression] of EXPRESSIONS.entries())
    same(plain(actual.rows[0][i]), plain(expected.rows[0][i]), expression.slice(0, 80))
  same(result(actual), result(expected), 'all of it')
}

export async function rows_as_arrays({ url, reference }) {
  const text = `SELECT 1 AS a, NULL AS b, 'x' AS a, ARRAY[1, 2] AS c FROM generate_series(1, 3)`
  const expected = await reference.query({ text, rowMode: 'array' })
  const arrayMode = true
  same(await neon(url, { arrayMode }).query(text), expected.rows, 'of the driver')
  same(await neon(url).query(text, [], { arrayMode }), expected.rows, 'of the query')
  const both = await neon(url, { arrayMode, ...full }).query(text)
  same(result(both), result(expected), 'with the rest')
  equal(both.rowAsArray, true)
  const objects = await reference.query(text)
  same(await neon(url).query(text), objects.rows, 'as objects')
}

export async function parameters({ url, reference }) {
  const sql = neon(url)
  await reference.query(TYPES)
  for (const [type, value] of PARAMETERS) {
    const text = `SELECT $1::${type} AS value, $1::${type} IS NULL AS missing`
    const expected = await outcome(() => reference.query(extended(text, [value])))
    const actual = await outcome(() => sql.query(text, [value], full))
    same(actual, expected, `${type} of ${String(value).slice(0, 80)}`)
  }
  const many = Array.from({ length: 3000 }, (_, i) => i)
  const text = `SELECT ${many.map((i) => `$${i + 1}::int`).join(' + ')} AS sum`
  same(await sql.query(text, many), (await reference.query(text, many)).rows, '3000 of them')
}

export async function statements({ url, reference }) {
  const sql = neon(url)
  const expected = await told((text) => reference.query(extended(text)))
  const actual = await told((text) => sql.query(text, [], full))
  for (const [i, text] of STATEMENTS.entries()) same(actual[i], expected[i], text)
  const there = await sql.query('SELECT * FROM told', [], full)
  same(result(there), result(await reference.query('SELECT * FROM told')), 'one table')
}

export async function failures({ url, reference }) {
  const sql = neon(url)
  await reference.query(TYPES + GUARDED)
  for (const [text, values] of FAILURES) {
    const expected = await outcome(() => reference.query(extended(text, values)))
    ok(expected.code, text)
    same(await outcome(() => sql.query(text, values, full)), expected, text)
    // Whatever came of it, who comes next finds a session that nobody was in.
    same(await sql`SELECT 1 AS one`, [{ one: 1 }], `after ${text}`)
  }
  const error = await sql`SELECT 1 / 0`.catch((error) => error)
  equal(error.name, 'NeonDbError')
}

export async function templates({ url }) {
  const sql = neon(url)
  const part = sql`n > ${1} AND n < ${5}`
  const column = sql.unsafe('n AS "that one"')
  const rows = await sql`SELECT ${column} FROM generate_series(${1}::int, 10) n WHERE ${part}`
  same(
    rows.map((row) => row['that one']),
    [2, 3, 4],
    'parts of a template',
  )
  same(
    await sql`SELECT ${'a'} || ${null} AS x, ${[1, 2]}::int[] AS y`,
    [{ x: null, y: [1, 2] }],
    'values',
  )
  const [{ bytes }] = await sql`SELECT ${Buffer.from([1, 2])} AS bytes`
  same(plain(bytes), { bytes: '0102' }, 'bytes')
}

export async function batches({ url, reference }) {
  const sql = neon(url)
  await reference.query(
    'DROP TABLE IF EXISTS batched; CREATE TABLE batched (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)',
  )
  const count = async () =>
    Number((await reference.query('SELECT count(*) FROM batched')).rows[0].count)

  same(await sql.transaction([]), [], 'nothing')
  const texts = [
    'INSERT INTO batched VALUES (1), (2) RETURNING n',
    'SELECT txid_current() = txid_current() AS one',
    'UPDATE batched SET n = 3 WHERE n = 2',
  ]
  const told = await sql.transaction(
    texts.map((text) => sql.query(text)),
    full,
  )
  same(
    told.map((each) => [each.command, each.rowCount]),
    [
      ['INSERT', 2],
      ['SELECT', 1],
      ['UPDATE', 1],
    ],
    'told of each',
  )
  const [first, second] = await sql.transaction((tx) => [
    tx`SELECT txid_current()`,
    tx`SELECT txid_current()`,
  ])
  same(first, second, 'one transaction')
  const [arrays, objects] = await sql.transaction([
    sql.query('SELECT 1 AS a', [], { arrayMode: true }),
    sql`SELECT 1 AS a`,
  ])
  same([arrays, objects], [[[1]], [{ a: 1 }]], 'each in its own mode')

  const refused = async (texts, code, options) => {
    const error = await sql
      .transaction(
        texts.map((text) => sql.query(text)),
        options,
      )
      .catch((error) => error)
    equal(error.code, code, `${error}`)
    equal(await count(), 2, `${texts} left something behind`)
    same(
      await sql`SHOW transaction_isolation`,
      [{ transaction_isolation: 'read committed' }],
      'after it',
    )
    return error
  }
  const wrong = await refused(
    ['INSERT INTO batched VALUES (9)', 'SELECT 1 / 0', 'INSERT INTO batched VALUES (8)'],
    '22012',
  )
  same(refusal(wrong), await outcome(() => reference.query(extended('SELECT 1 / 0'))), 'its error')
  await refused(['INSERT INTO batched VALUES (9)', 'SELEC'], '42601')
  await refused(['INSERT INTO batched VALUES (9), (9)'], '23505') // said by the COMMIT alone
  await refused(['INSERT INTO batched VALUES (9)'], '25006', { readOnly: true })
  await refused(['SELECT 1; SELECT 2'], '42601')

  for (const [isolationLevel, word] of [
    ['ReadUncommitted', 'read uncommitted'],
    ['ReadCommitted', 'read committed'],
    ['RepeatableRead', 'repeatable read'],
    ['Serializable', 'serializable'],
    [undefined, 'read committed'],
  ])
    for (const readOnly of [true, false, undefined])
      for (const deferrable of [true, false, undefined]) {
        const asked = ['transaction_isolation', 'transaction_read_only', 'transaction_deferrable']
        const rows = await sql.transaction(
          asked.map((name) => sql.query(`SHOW ${name}`)),
          { isolationLevel, readOnly, deferrable, arrayMode: true },
        )
        const on = (value) => (value ? 'on' : 'off')
        same(
          rows.flat(2),
          [word, on(readOnly), on(deferrable)],
          JSON.stringify({ isolationLevel, readOnly, deferrable }),
        )
      }
  const unknown = await sql
    .transaction([sql`SELECT 1`], { isolationLevel: 'Chaos' })
    .catch((error) => error)
  match(unknown.message, /isolation level/)
}

export async function many_at_once({ url }) {
  const sql = neon(url)
  const numbers = Array.from({ length: 100 }, (_, i) => i)
  const rows = await Promise.all(
    numbers.map((i) => sql`SELECT ${i}::int AS n, pg_sleep(0.002)::text AS s`),
  )
  same(
    rows.map(([row]) => row.n),
    numbers,
    'each its own',
  )
}

export async function large({ url, reference }) {
  const text = `SELECT i, md5(i::text) AS word, i * 1.5 AS n, NULL AS missing FROM generate_series(1, 20000) AS i`
  const expected = await reference.query(text)
  same(result(await neon(url).query(text, [], full)), result(expected), '20000 rows')
  const [{ long }] = await neon(url)`SELECT repeat('é', 4000000) AS long`
  equal(long, 'é'.repeat(4_000_000))
}

export async function pool_by_way_of_fetch({ url, kind, reference }) {
  neonConfig.poolQueryViaFetch = true
  const pool = new Pool({ connectionString: url })
  try {
    const said = await pool.query('SELECT $1::int AS n, current_database() AS place', [7])
    equal(said.viaNeonFetch, true)
    const place = (await reference.query('SELECT current_database() AS place')).rows[0].place
    same(said.rows, [{ n: 7, place }], 'its rows')
    // The driver leaves the port out, and what has none is pooled: Postgres sees it come from there.
    const from = 'SELECT inet_client_addr()::text AS address'
    const [[{ address }], [seen]] = [(await pool.query(from)).rows, (await reference.query(from)).rows]
    equal(address === seen.address, kind === 'pooled', `from ${address} and ${seen.address}`)
    await rejects(pool.query('SELECT 1 / 0'), { code: '22012' })
  } finally {
    neonConfig.poolQueryViaFetch = false
    await pool.end()
  }
}

export async function query_that_nobody_waits_for({ url, reference }) {
  const tag = `nobody waits ${process.pid}`
  const running = async () => {
    const text = `SELECT 1 FROM pg_stat_activity WHERE query LIKE $1 AND state = 'active' AND pid <> pg_backend_pid()`
    return (await reference.query(text, [`%${tag}%`])).rowCount
  }
  const leaving = new AbortController()
  const sql = neon(url, { fetchOptions: { signal: leaving.signal } })
  const told = sql.query(`SELECT pg_sleep(300) /* ${tag} */`).catch((error) => error)
  const batch = sql
    .transaction([sql`SELECT 1`, sql.query(`SELECT pg_sleep(300) /* ${tag} */`)])
    .catch((error) => error)
  await until(async () => (await running()) === 2, 'both run')
  leaving.abort()
  match(`${await told} ${await batch}`, /AbortError.*AbortError/)
  await until(async () => (await running()) === 0, 'none runs')
  same(await neon(url)`SELECT 1 AS one`, [{ one: 1 }], 'who comes next')
}

export async function who_is_not_let_in({ url }) {
  const told = async (text) => neon(text)`SELECT 1`.catch((error) => error)
  const change = (part, value) => Object.assign(new URL(url), { [part]: value }).href
  const parts = [
    ['password', 'wr%6Fng'],
    ['username', 'nobody'],
    ['pathname', '/nowhere'],
  ]
  // At once: PgBouncer takes its time for a no.
  await Promise.all(
    parts.map(async (part) => {
      const wrong = change(...part)
      const error = await told(wrong)
      equal(error.name, 'NeonDbError')
      const expected = await new pg.Client({ connectionString: wrong })
        .connect()
        .catch((error) => error)
      same(refusal(error), refusal(expected), part.join(' '))
      ok(!JSON.stringify([error, error.message]).includes(new URL(url).password))
    }),
  )
  const elsewhere = await told(change('port', '1'))
  match(elsewhere.message, /port 1 is not one of/)
  const token = await neon(url, { authToken: 'x.y.z' })`SELECT 1`.catch((error) => error)
  equal(token.name, 'NeonDbError')
  same(await neon(url)`SELECT 1 AS one`, [{ one: 1 }], 'who comes next')
}

export async function what_require_gives({ url }) {
  same(await common.neon(url)`SELECT ${1}::int AS n`, [{ n: 1 }], 'the copy for require()')
}

export async function nothing_stays_behind({ url, reference }) {
  const sql = neon(url)
  const open = async () => {
    const text = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state ~ 'in transaction'`
    return (await reference.query(text)).rowCount
  }
  for (const text of ['BEGIN', 'BEGIN READ ONLY', 'START TRANSACTION; SELECT 1', 'ROLLBACK', 'COMMIT']) {
    await sql.query(text).catch(() => {})
    await sql.transaction([sql`SELECT 1`, sql`COMMIT`, sql.query(text)]).catch(() => {})
    // A connection is handed from request to request: nobody may find it in a transaction.
    const refused = await Promise.all(Array.from({ length: 5 }, () => sql`SAVEPOINT a`.catch((error) => error.code)))
    same(refused, Array(5).fill('25P01'), `after ${text}`)
  }
  await until(async () => !(await open()), 'no transaction is open that nobody can end')
}
