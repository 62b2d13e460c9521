// What bench_gateway.py has measured from a client's side, in one process: a line of JSON says what,
// a line of JSON has the milliseconds. node-postgres by TCP and the driver by HTTP take turns.
const { createInterface } = require('node:readline')
const { neon, neonConfig } = require('@neondatabase/serverless')
const { Client } = require('pg')

neonConfig.fetchEndpoint = `${process.env.DEVDB_HTTP_URL}/sql`

const queries = {
  small: ['SELECT $1::int AS n', [7]],
  rows: [
    `SELECT i, i * 2 AS twice, md5(i::text) AS word, i * 1.5 AS n, i % 2 = 0 AS even FROM generate_series(1, 1000) AS i`,
    [],
  ],
}

async function took(ask) {
  const begun = performance.now()
  await ask()
  return performance.now() - begun
}

async function beside(url, { query, rounds }) {
  const [text, values] = queries[query]
  const client = new Client(url)
  await client.connect()
  const sql = neon(url)
  const tcp = []
  const http = []
  for (let i = -Math.ceil(rounds / 10); i < rounds; i++) {
    const one = await took(() => client.query(text, values))
    const other = await took(() => sql.query(text, values))
    if (i < 0) continue // connecting, and compiling what is called often
    tcp.push(one)
    http.push(other)
  }
  await client.end()
  return { tcp, http }
}

async function requests(url, { count, together }) {
  const sql = neon(url)
  const ask = async () => {
    while (count-- > 0) await sql.query(...queries.small)
  }
  const all = await took(() => Promise.all(Array.from({ length: together }, ask)))
  return { all }
}

async function at_once(url, { count }) {
  const sql = neon(url)
  const refused = []
  const ask = () => sql`SELECT pg_sleep(0.02)`.catch((error) => refused.push(error.message))
  const all = await took(() => Promise.all(Array.from({ length: count }, ask)))
  return { all, refused }
}

const measures = { beside, requests, at_once }

async function main() {
  for await (const line of createInterface({ input: process.stdin })) {
    const { measure, url, ...options } = JSON.parse(line)
    console.log(JSON.stringify(await measures[measure](url, options)))
  }
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
