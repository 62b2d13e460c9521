// Reads {client, url} lines and answers how that client's own parser understands the URL.
const readline = require('node:readline')
const pg = require('pg')
const postgres = require('postgres')

function whatwg(url) {
  const parts = new URL(url)
  return {
    user: decodeURIComponent(parts.username),
    password: decodeURIComponent(parts.password),
    host: parts.hostname,
    port: parts.port,
    database: decodeURIComponent(parts.pathname.slice(1)),
    ...Object.fromEntries(parts.searchParams),
  }
}

const parsers = {
  'node-postgres': (url) => {
    const { user, password, host, port, database, ssl } = new pg.Client(url).connectionParameters
    return { user, password, host, port, database, ssl }
  },
  'postgres.js': (url) => {
    const { user, pass, host, port, database, ssl, prepare, connection } = postgres(url).options
    const known = { user, password: pass, host: host[0], port: port[0], database, ssl, prepare }
    return { ...known, ...connection } // what goes to the server at last
  },
  whatwg,
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { client, url } = JSON.parse(line)
  let answer
  try {
    answer = parsers[client](url)
  } catch (error) {
    answer = { error: String(error) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
})
