// Client and Pool of @neondatabase/serverless, beside node-postgres on the same database.
import { deepStrictEqual, equal, match, ok } from 'node:assert'
import { Client, Pool, neonConfig } from '@neondatabase/serverless'
import pg from 'pg'
import { outcome, plain, refusal, result, same } from './compare.mjs'
import { useWebSocket } from './settings.mjs'
import { FAILURES, GUARDED, STATEMENTS, told } from './statements.mjs'
import { until } from './until.mjs'
import { EXPRESSIONS, PARAMETERS, TYPES, WIDE } from './values.mjs'

const WAYS = ['ws', 'own'].flatMap((webSocket) =>
  ['password', false].flatMap((pipelineConnect) =>
    [true, false].map((coalesceWrites) => ({ webSocket, pipelineConnect, coalesceWrites })),
  ),
)

// As a project sets it: before it connects, for all.
async function inWay(way, use) {
  const { webSocket, ...settings } = way
  const { pipelineConnect, coalesceWrites } = neonConfig
  useWebSocket(webSocket)
  Object.assign(neonConfig, settings)
  try {
    await use()
  } catch (error) {
    throw new Error(`${JSON.stringify(way)}: ${error.message}`, { cause: error })
  } finally {
    useWebSocket('ws')
    Object.assign(neonConfig, { pipelineConnect, coalesceWrites })
  }
}

async function connected(url, use) {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

export async function each_way_in({ url, reference }) {
  await reference.query('DROP TABLE IF EXISTS kept; CREATE TABLE kept (n int)')
  await reference.query(TYPES)
  const expected = plain((await reference.query(WIDE)).rows)
  for (const way of WAYS)
    await inWay(way, () =>
      connected(url, async (client) => {
        same(plain((await client.query(WIDE)).rows), expected, 'values')
        await transaction(client, reference)
        const error = await client.query('SELECT 1 / 0').catch((error) => error)
        equal(error.code, '22012')
        // A frame may end anywhere in a message, and many messages may come in one.
        const sent = 'é'.repeat(100_000)
        const asked = Array.from({ length: 5 }, (_, i) =>
          client.query('SELECT $1 AS sent, $2::int AS i', [sent, i]),
        )
        for (const [i, { rows }] of (await Promise.all(asked)).entries())
          ok(rows[0].sent === sent && rows[0].i === i)
      }),
    )
}

async function transaction(client, reference) {
  const there = async () =>
    (await reference.query('SELECT n FROM kept ORDER BY n')).rows.map(({ n }) => n)
  await reference.query('TRUNCATE kept')
  await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE')
  equal(
    (await client.query('SHOW transaction_isolation')).rows[0].transaction_isolation,
    'serializable',
  )
  await client.query('INSERT INTO kept VALUES ($1)', [1])
  await client.query('SAVEPOINT a')
  await client.query('INSERT INTO kept VALUES ($1)', [2])
  await client.query('ROLLBACK TO a')
  await client.query('INSERT INTO kept VALUES ($1)', [3])
  deepStrictEqual(await there(), [])
  await client.query('COMMIT')
  deepStrictEqual(await there(), [1, 3])
  await client.query('BEGIN')
  await client.query('DELETE FROM kept')
  const failed = await client.query('SELECT nowhere').catch((error) => error)
  equal(failed.code, '42703')
  equal((await client.query('SELECT 1').catch((error) => error)).code, '25P02')
  await client.query('ROLLBACK')
  deepStrictEqual(await there(), [1, 3])
}

export async function statements_and_values({ url, reference }) {
  await reference.query(TYPES)
  await connected(url, async (client) => {
    const actual = await client.query(WIDE)
    const expected = await reference.query(WIDE)
    for (const [i, expression] of EXPRESSIONS.entries())
      same(plain(actual.rows[0][i]), plain(expected.rows[0][i]), expression.slice(0, 80))
    for (const [type, value] of PARAMETERS) {
      const text = `SELECT $1::${type} AS value`
      const expected = await outcome(() => reference.query(text, [value]))
      same(
        await outcome(() => client.query(text, [value])),
        expected,
        `${type} of ${String(value).slice(0, 80)}`,
      )
    }
    const they = await told((text) => reference.query(text))
    const we = await told((text) => client.query(text))
    for (const [i, text] of STATEMENTS.entries()) same(we[i], they[i], text)
    const several = 'SELECT 1 AS a; SELECT 2 AS b, 3 AS c; SELECT 4 AS d WHERE false'
    const [ours, theirs] = [await client.query(several), await reference.query(several)]
    same(ours.map(result), theirs.map(result), 'several in one')
    const array = { text: 'SELECT 1 AS a, 2 AS a', rowMode: 'array' }
    same(result(await client.query(array)), result(await reference.query(array)), 'as arrays')
    const prepared = (values) => ({ name: 'sum', text: 'SELECT $1::int + $2::int AS sum', values })
    for (const values of [
      [1, 2],
      [3, 4],
    ])
      same(
        (await client.query(prepared(values))).rows,
        [{ sum: values[0] + values[1] }],
        'prepared',
      )
  })
}

export async function failures({ url, reference }) {
  await reference.query(TYPES + GUARDED)
  await connected(url, async (client) => {
    const heard = []
    client.on('notice', (notice) => heard.push(notice.message))
    for (const [text, values] of FAILURES) {
      const expected = await outcome(() => reference.query(text, values))
      same(await outcome(() => client.query(text, values)), expected, text)
    }
    await client.query(`DO 'BEGIN RAISE NOTICE ''heard''; END'`)
    deepStrictEqual(heard, ['heard'])
  })
}

export async function pool({ url, reference }) {
  const pool = new Pool({ connectionString: url, max: 5 })
  try {
    const rows = await Promise.all(
      Array.from({ length: 100 }, (_, i) => pool.query('SELECT $1::int AS n', [i])),
    )
    deepStrictEqual(
      rows.map(({ rows }) => rows[0].n),
      Array.from({ length: 100 }, (_, i) => i),
    )
    await reference.query('DROP TABLE IF EXISTS kept; CREATE TABLE kept (n int)')
    const client = await pool.connect()
    await transaction(client, reference).finally(() => client.release())
  } finally {
    await pool.end()
  }
}

export async function notifications({ url, kind }) {
  if (kind !== 'direct') return // a session of the pooler's does not listen for anybody
  for (const webSocket of ['ws', 'own'])
    await inWay({ webSocket }, () =>
      connected(url, (listener) =>
        connected(url, async (speaker) => {
          const heard = new Promise((resolve) => listener.on('notification', resolve))
          await listener.query('LISTEN "a channel"')
          await speaker.query(`SELECT pg_notify('a channel', $1)`, ['a "word" 😀'])
          const { channel, payload } = await heard
          deepStrictEqual([channel, payload], ['a channel', 'a "word" 😀'])
        }),
      ),
    )
}

export async function who_is_not_let_in({ url }) {
  const change = (part, value) => Object.assign(new URL(url), { [part]: value }).href
  const refused = async (client) => {
    client.on('error', () => {})
    return client
      .connect()
      .then(() => client.query('SELECT 1'))
      .catch((error) => error)
  }
  const parts = [
    ['password', 'wrong'],
    ['username', 'nobody'],
    ['pathname', '/nowhere'],
  ]
  const wrong = parts.map((part) => change(...part))
  // At once: PgBouncer takes its time for a no.
  const expected = await Promise.all(
    wrong.map((url) => refused(new pg.Client({ connectionString: url }))),
  )
  for (const pipelineConnect of ['password', false])
    await inWay({ webSocket: 'ws', pipelineConnect }, async () => {
      const actual = await Promise.all(
        wrong.map((url) => refused(new Client({ connectionString: url }))),
      )
      for (const [i, error] of actual.entries()) {
        same(refusal(error), refusal(expected[i]), parts[i].join(' '))
        ok(!JSON.stringify([error, error.message]).includes(new URL(url).password))
      }
    })
  const error = await refused(new Client({ connectionString: change('port', '1') }))
  match(`${error?.message}`, /not one of/)
}

export async function who_leaves_is_gone({ url, reference }) {
  const name = `leaving ${process.pid}`
  const atWork = async () =>
    (
      await reference.query(
        `SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND query ~ $2 AND state = 'active'`,
        [name, 'pg_sleep'],
      )
    ).rowCount
  // With a query that runs and without a word of farewell, as a browser's tab is closed.
  const client = new Client({ connectionString: url, application_name: name })
  client.on('error', () => {})
  await client.connect()
  client.query('SELECT pg_sleep(300)').catch(() => {})
  await until(async () => (await atWork()) === 1, 'it is at work')
  client.connection.stream.destroy()
  await until(async () => (await atWork()) === 0, 'nobody works for who has left')
}
