// Servers that stop while drivers hold on, and come back.
import { deepStrictEqual, equal, match } from 'node:assert'
import { Client } from '@neondatabase/serverless'
import { WAYS, overWebSocket } from './ways.mjs'

export async function servers_that_stop({ url, please }) {
  for (const ask of WAYS) deepStrictEqual(await ask(url), [{ one: 1 }])
  const held = new Client({ connectionString: url })
  const ended = new Promise((resolve) => held.on('error', resolve))
  await held.connect()
  await held.query('BEGIN')
  const name = await please('stop')
  await ended
  for (let i = 0; i < 2; i++)
    for (const ask of WAYS) {
      const error = await ask(url).catch((error) => error)
      match(
        `${error.message}`,
        new RegExp(`devdb: '${name}' is not running. Start it: devdb up -n ${name}$`),
      )
      if (ask === overWebSocket) equal(error.code, '57P03')
    }
  await please('start')
  for (const ask of WAYS) deepStrictEqual(await ask(url), [{ one: 1 }])
}
