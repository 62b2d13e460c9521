// The libraries that take the driver as theirs: what they are used for each day.
import { deepStrictEqual, equal, match, rejects } from 'node:assert'
import { createRequire } from 'node:module'
import { Client, Pool, neon } from '@neondatabase/serverless'
import { PrismaNeon, PrismaNeonHttp } from '@prisma/adapter-neon'
import { eq, sql as raw } from 'drizzle-orm'
import { drizzle as overHttp } from 'drizzle-orm/neon-http'
import { drizzle as overWebSocket } from 'drizzle-orm/neon-serverless'
import { integer, jsonb, pgTable, serial, text, timestamp } from 'drizzle-orm/pg-core'
import { Kysely, PostgresDialect, sql as fragment } from 'kysely'
import { NeonDialect } from 'kysely-neon'

const require = createRequire(import.meta.url)

const TABLE = `
  DROP TABLE IF EXISTS thing;
  CREATE TABLE thing (id serial PRIMARY KEY, name text NOT NULL UNIQUE, n int, made timestamptz DEFAULT now(), more jsonb)
`
const thing = pgTable('thing', {
  id: serial('id').primaryKey(),
  name: text('name').notNull(),
  n: integer('n'),
  made: timestamp('made', { withTimezone: true }),
  more: jsonb('more'),
})
const made = new Date(Date.UTC(2024, 1, 29, 12))

async function used_by_drizzle(db) {
  const [first] = await db
    .insert(thing)
    .values({ name: 'a', n: 1, made, more: { x: [1] } })
    .returning()
  deepStrictEqual(first, { id: 1, name: 'a', n: 1, made, more: { x: [1] } })
  await db.insert(thing).values([{ name: 'b' }, { name: 'c' }])
  await db
    .insert(thing)
    .values({ name: 'a' })
    .onConflictDoUpdate({ target: thing.name, set: { n: 5 } })
  deepStrictEqual(
    await db.update(thing).set({ n: 2 }).where(eq(thing.name, 'b')).returning({ n: thing.n }),
    [{ n: 2 }],
  )
  await db.delete(thing).where(eq(thing.name, 'c'))
  deepStrictEqual(await db.select({ name: thing.name, n: thing.n }).from(thing).orderBy(thing.id), [
    { name: 'a', n: 5 },
    { name: 'b', n: 2 },
  ])
  deepStrictEqual(
    await db.query.thing.findFirst({ where: eq(thing.n, 2), columns: { name: true } }),
    { name: 'b' },
  )
  const counted = await db.execute(raw`SELECT count(*)::int AS count FROM ${thing} WHERE n > ${2}`)
  deepStrictEqual(counted.rows, [{ count: 1 }])
  const prepared = db
    .select({ n: thing.n })
    .from(thing)
    .where(eq(thing.name, raw.placeholder('name')))
    .prepare('by name')
  deepStrictEqual(await prepared.execute({ name: 'a' }), [{ n: 5 }])
  await rejects(
    db.insert(thing).values({ name: 'a' }),
    (error) => (error.cause ?? error).code === '23505',
  )
}

export async function drizzle_neon_http({ url, reference }) {
  await reference.query(TABLE)
  const db = overHttp(neon(url), { schema: { thing } })
  await used_by_drizzle(db)
  const [inserted, all] = await db.batch([
    db.insert(thing).values({ name: 'd' }).returning({ name: thing.name }),
    db.select({ name: thing.name }).from(thing),
  ])
  deepStrictEqual([inserted, all.length], [[{ name: 'd' }], 3])
  await rejects(
    db.batch([db.insert(thing).values({ name: 'e' }), db.insert(thing).values({ name: 'a' })]),
  )
  equal((await db.select().from(thing)).length, 3)
}

export async function drizzle_neon_serverless({ url, reference }) {
  await reference.query(TABLE)
  const pool = new Pool({ connectionString: url })
  try {
    const db = overWebSocket(pool, { schema: { thing } })
    await used_by_drizzle(db)
    const names = async () =>
      (await db.select({ name: thing.name }).from(thing).orderBy(thing.id)).map(({ name }) => name)
    await db.transaction(
      async (tx) => {
        await tx.insert(thing).values({ name: 'd' })
        await tx
          .transaction(async (inner) => {
            await inner.insert(thing).values({ name: 'e' })
            inner.rollback()
          })
          .catch((error) => match(`${error}`, /Rollback/))
        await tx.insert(thing).values({ name: 'f' })
      },
      { isolationLevel: 'repeatable read' },
    )
    deepStrictEqual(await names(), ['a', 'b', 'd', 'f'])
    await rejects(
      db.transaction(async (tx) => {
        await tx.delete(thing)
        throw new Error('changed my mind')
      }),
      /changed my mind/,
    )
    deepStrictEqual(await names(), ['a', 'b', 'd', 'f'])
  } finally {
    await pool.end()
  }
}

async function used_by_kysely(db) {
  // Drizzle has changed how the driver reads a time by now, for the whole process: it is left out.
  const columns = ['id', 'name', 'n', 'more']
  const first = await db
    .insertInto('thing')
    .values({ name: 'a', n: 1, more: { x: [1] } })
    .returning(columns)
    .executeTakeFirstOrThrow()
  deepStrictEqual(first, { id: 1, name: 'a', n: 1, more: { x: [1] } })
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('thing')
    .values([{ name: 'b' }, { name: 'c' }])
    .executeTakeFirst()
  equal(numInsertedOrUpdatedRows, 2n)
  equal(
    (await db.updateTable('thing').set({ n: 2 }).where('name', 'in', ['b', 'c']).executeTakeFirst())
      .numUpdatedRows,
    2n,
  )
  equal(
    (await db.deleteFrom('thing').where('name', '=', 'c').executeTakeFirst()).numDeletedRows,
    1n,
  )
  deepStrictEqual(await db.selectFrom('thing').select(['name', 'n']).orderBy('id').execute(), [
    { name: 'a', n: 1 },
    { name: 'b', n: 2 },
  ])
  deepStrictEqual((await fragment`SELECT ${'x'}::text AS x`.execute(db)).rows, [{ x: 'x' }])
  await rejects(db.insertInto('thing').values({ name: 'a' }).execute(), { code: '23505' })
}

export async function kysely_neon({ url, reference }) {
  await reference.query(TABLE)
  const db = new Kysely({ dialect: new NeonDialect({ neon: neon(url) }) })
  await used_by_kysely(db)
  const [table] = (await db.introspection.getTables()).filter(({ name }) => name === 'thing')
  equal(table.columns.length, 5)
  await db.destroy()
}

export async function kysely_with_the_pool({ url, reference }) {
  await reference.query(TABLE)
  const db = new Kysely({
    dialect: new PostgresDialect({ pool: new Pool({ connectionString: url }) }),
  })
  try {
    await used_by_kysely(db)
    await db.transaction().execute((tx) => tx.insertInto('thing').values({ name: 'd' }).execute())
    await rejects(
      db.transaction().execute(async (tx) => {
        await tx.deleteFrom('thing').execute()
        throw new Error('changed my mind')
      }),
      /changed my mind/,
    )
    equal((await db.selectFrom('thing').selectAll().execute()).length, 3)
  } finally {
    await db.destroy()
  }
}

export async function vercel_postgres({ url, reference }) {
  await reference.query(TABLE)
  const local = Object.assign(new URL(url), { hostname: 'localhost' }).href
  process.env.POSTGRES_URL = process.env.POSTGRES_URL_NON_POOLING = local
  const { createClient, createPool, sql } = require('@vercel/postgres')
  const inserted =
    await sql`INSERT INTO thing (name, n) VALUES (${'a'}, ${1}) RETURNING id, name, n`
  deepStrictEqual(
    [inserted.rows, inserted.rowCount, inserted.command],
    [[{ id: 1, name: 'a', n: 1 }], 1, 'INSERT'],
  )
  await rejects(sql`INSERT INTO thing (name) VALUES (${'a'})`, { code: '23505' })
  const pool = createPool()
  deepStrictEqual((await pool.sql`SELECT name FROM thing WHERE n = ${1}`).rows, [{ name: 'a' }])
  const borrowed = await pool.connect()
  await borrowed.sql`BEGIN`
  await borrowed.sql`INSERT INTO thing (name) VALUES (${'b'})`
  await borrowed.sql`ROLLBACK`
  borrowed.release()
  await pool.end()
  const client = createClient()
  await client.connect()
  deepStrictEqual((await client.sql`SELECT count(*)::int AS count FROM thing`).rows, [{ count: 1 }])
  await client.end()
}

const TABLES = `DROP TABLE IF EXISTS "Note"; CREATE TABLE "Note" (id serial PRIMARY KEY, text text NOT NULL)`

async function used_by_prisma(prisma, taken) {
  const note = await prisma.note.create({ data: { text: 'a "b" 😀' } })
  deepStrictEqual(note, { id: 1, text: 'a "b" 😀' })
  await prisma.note.createMany({ data: [{ text: 'b' }, { text: 'c' }] })
  await prisma.note.update({ where: { id: 2 }, data: { text: 'B' } })
  await prisma.note.delete({ where: { id: 3 } })
  deepStrictEqual(
    (await prisma.note.findMany({ orderBy: { id: 'asc' } })).map(({ text }) => text),
    ['a "b" 😀', 'B'],
  )
  equal(await prisma.note.count({ where: { text: { contains: 'b' } } }), 1)
  deepStrictEqual(await prisma.$queryRaw`SELECT ${7}::int AS n, ARRAY['x', NULL] AS words`, [
    { n: 7, words: ['x', null] },
  ])
  equal(await prisma.$executeRaw`UPDATE "Note" SET text = ${'c'} WHERE id < 3`, 2)
  await rejects(prisma.note.update({ where: { id: 99 }, data: { text: 'x' } }), { code: 'P2025' })
  await rejects(prisma.note.create({ data: { id: 1, text: 'x' } }), { code: taken })
}

export async function prisma_adapter_neon({ url, reference }) {
  await reference.query(TABLES)
  const { PrismaClient } = require('./generated')
  const prisma = new PrismaClient({ adapter: new PrismaNeon({ connectionString: url }) })
  try {
    await used_by_prisma(prisma, 'P2002')
    await prisma.$transaction([
      prisma.note.create({ data: { text: 'd' } }),
      prisma.note.create({ data: { text: 'e' } }),
    ])
    await rejects(
      prisma.$transaction(
        async (tx) => {
          await tx.note.deleteMany()
          equal(await tx.note.count(), 0)
          throw new Error('changed my mind')
        },
        { isolationLevel: 'Serializable' },
      ),
      /changed my mind/,
    )
    equal(await prisma.note.count(), 4)
  } finally {
    await prisma.$disconnect()
  }
}

export async function prisma_adapter_neon_http({ url, reference }) {
  await reference.query(TABLES)
  const { PrismaClient } = require('./generated')
  const prisma = new PrismaClient({ adapter: new PrismaNeonHttp(url, {}) })
  try {
    // Over HTTP the adapter leaves errors as they are.
    await used_by_prisma(prisma, '23505')
  } finally {
    await prisma.$disconnect()
  }
}
