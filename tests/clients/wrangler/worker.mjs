// Asks the database in the three ways that a Worker has, by what is in its .env.
import { Client, neon } from '@neondatabase/serverless'
import postgres from 'postgres'
import './snippet.mjs'

const ways = {
  async hyperdrive({ STORE }) {
    const sql = postgres(STORE.connectionString, { max: 1, fetch_types: false })
    try {
      return await sql`SELECT ${7}::int AS n, current_database() AS place`
    } finally {
      await sql.end()
    }
  },

  http: ({ DIRECT_URL }) => neon(DIRECT_URL)`SELECT ${7}::int AS n, current_database() AS place`,

  async websocket({ DIRECT_URL }) {
    const client = new Client({ connectionString: DIRECT_URL })
    await client.connect()
    try {
      return (await client.query('SELECT $1::int AS n, current_database() AS place', [7])).rows
    } finally {
      await client.end()
    }
  },
}

export default {
  async fetch(request, env) {
    const way = new URL(request.url).pathname.slice(1)
    return way in ways ? Response.json(await ways[way](env)) : new Response('ready')
  },
}
