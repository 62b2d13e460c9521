// Temporary databases that end while drivers hold on.
import { deepStrictEqual, match } from 'node:assert'
import { Client } from '@neondatabase/serverless'
import { WAYS } from './ways.mjs'

export async function a_temporary_database({ kind, please }) {
  for (const end of ['drop', 'expire']) {
    const urls = await please('temporary')
    const url = urls[kind]
    for (let i = 0; i < 3; i++)
      for (const ask of WAYS) deepStrictEqual(await ask(url), [{ one: 1 }])
    const held = new Client({ connectionString: url })
    held.on('error', () => {})
    await held.connect()
    await please(end)
    // The first request after it, over the way that had a connection.
    for (const ask of WAYS) {
      const error = await ask(url).catch((error) => error)
      match(
        `${error.code} ${error.message}`,
        /^(28P01|28000|3D000|08P01|42704) /,
        `${end}, ${kind}, ${ask.name}`,
      )
    }
    held.connection.stream.destroy()
  }
}
