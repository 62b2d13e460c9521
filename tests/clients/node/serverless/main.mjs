// Runs the checks of the modules that are named, by both URLs, and says of each failure what it was.
//
// WORK_URLS: {"direct": .., "pooled": ..}, of one database. SNIPPET: the module that a project pastes.
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import './settings.mjs'

const PATIENCE = 60_000
const urls = JSON.parse(process.env.WORK_URLS)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

// Has who started us do something, and waits until it is done.
async function please(...words) {
  console.log(JSON.stringify({ please: words }))
  const { value } = await lines.next()
  if (value === undefined) throw new Error(`nobody did ${words}`)
  return JSON.parse(value)
}

async function late() {
  await setTimeout(PATIENCE)
  throw new Error(`it has not ended in ${PATIENCE} ms`)
}

async function attempt(name, check, kind, url) {
  // A module can do without a server of its own that is compared with.
  const reference = new pg.Client({ connectionString: url, application_name: 'reference' })
  reference.on('error', () => {})
  try {
    await reference.connect()
    await Promise.race([check({ url, kind, reference, please }), late()])
    return { name }
  } catch (error) {
    return { name, error: `${error.stack ?? error}\n${error.cause ?? ''}` }
  } finally {
    await reference.end().catch(() => {})
  }
}

for (const module of process.argv.slice(2)) {
  for (const [name, check] of Object.entries(await import(`./${module}.mjs`))) {
    for (const [kind, url] of Object.entries(urls)) {
      const title = `${module}: ${name}, ${kind}`
      console.log(JSON.stringify({ done: await attempt(title, check, kind, url) }))
    }
  }
}
process.exit(0)
