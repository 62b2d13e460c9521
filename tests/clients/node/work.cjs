// The workload of tests/clients/workload.py, for one of Node's clients.
const { WORK_URL: url, WORK_CLIENT: client } = process.env
const together = Boolean(process.env.WORK_TOGETHER)
const tracked = Boolean(process.env.WORK_TRACKED)
const workers = Number(process.env.WORK_WORKERS)
const rounds = Number(process.env.WORK_ROUNDS)

const SUM = 'SELECT $1::int + $2::int AS total'
const WRITE = 'INSERT INTO work VALUES ($1, $2, $3)'

let waiting = 0
let open
const gate = new Promise((resolve) => (open = resolve))
async function everybodyConnected() {
  if (++waiting === workers) open()
  if (together) await gate
}

// A statement with a name is prepared once and used again; one without is not.
const name = (text) => (tracked ? text : undefined)

function check(total, worker, round) {
  if (Number(total) !== worker + round) throw new Error(`${total} is not ${worker} + ${round}`)
}

// A Prisma client has a pool of its own: with a connection for each worker or, where only five get
// a session at a time, with those five.
function makePrisma() {
  const { PrismaClient } = require('generated')
  const { PrismaPg } = require('@prisma/adapter-pg')
  const adapter = new PrismaPg({ connectionString: url, max: together ? workers : 5 })
  return new PrismaClient({ adapter })
}
const prisma = client === 'prisma' ? makePrisma() : undefined

const clients = {
  'node-postgres': async (worker) => {
    const connection = new (require('pg').Client)(url)
    await connection.connect()
    await everybodyConnected()
    for (let round = 0; round < rounds; round++) {
      await connection.query('BEGIN')
      const sum = await connection.query({ name: name('sum'), text: SUM, values: [worker, round] })
      check(sum.rows[0].total, worker, round)
      const values = [client, worker, round]
      await connection.query({ name: name('write'), text: WRITE, values })
      await connection.query('COMMIT')
    }
    await connection.end()
  },

  'postgres.js': async (worker) => {
    const sql = require('postgres')(url, { max: 1 })
    await sql`SELECT 1`
    await everybodyConnected()
    for (let round = 0; round < rounds; round++) {
      await sql.begin(async (sql) => {
        const [{ total }] = await sql`SELECT ${worker}::int + ${round}::int AS total`
        check(total, worker, round)
        await sql`INSERT INTO work VALUES (${client}, ${worker}, ${round})`
      })
    }
    await sql.end()
  },

  drizzle: async (worker) => {
    const { drizzle } = require('drizzle-orm/node-postgres')
    const { sql } = require('drizzle-orm')
    const { pgTable, integer, text } = require('drizzle-orm/pg-core')
    const work = pgTable('work', {
      client: text('client'),
      worker: integer('worker'),
      round: integer('round'),
    })
    const connection = new (require('pg').Client)(url)
    await connection.connect()
    const db = drizzle(connection)
    await everybodyConnected()
    for (let round = 0; round < rounds; round++) {
      await db.transaction(async (tx) => {
        const sum = sql`${sql.placeholder('a')}::int + ${sql.placeholder('b')}::int`
        const prepared = tx.select({ total: sum }).from(sql`(SELECT 1) AS one`).prepare(name('total'))
        const [{ total }] = await prepared.execute({ a: worker, b: round })
        check(total, worker, round)
        await tx.insert(work).values({ client, worker, round })
      })
    }
    await connection.end()
  },

  prisma: async (worker) => {
    for (let round = 0; round < rounds; round++) {
      await prisma.$transaction(
        async (tx) => {
          const [{ total }] = await tx.$queryRaw`SELECT ${worker}::int + ${round}::int AS total`
          check(total, worker, round)
          const note = await tx.note.create({ data: { text: `${worker}/${round}` } })
          const found = await tx.note.findUniqueOrThrow({ where: { id: note.id } })
          if (found.text !== note.text) throw new Error(`${found.text} is not ${note.text}`)
          await tx.note.delete({ where: { id: note.id } })
          await tx.$executeRaw`INSERT INTO work VALUES (${client}, ${worker}, ${round})`
        },
        { maxWait: 60_000, timeout: 60_000 },
      )
    }
  },
}

const all = Array.from({ length: workers }, (_, worker) => clients[client](worker))
Promise.all(all).then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  },
)
