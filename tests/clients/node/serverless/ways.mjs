// The driver's two ways to ask something small.
import { Client, neon } from '@neondatabase/serverless'

export const asked = (url) => neon(url)`SELECT 1 AS one`
export async function overWebSocket(url) {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  const { rows } = await client.query('SELECT 1 AS one')
  await client.end() // of one that is broken it would never be over
  return rows
}
export const WAYS = [asked, overWebSocket]
