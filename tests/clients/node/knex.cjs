// Applies two migrations with Knex, takes the second back and applies it again.
const knex = require('knex')({ client: 'pg', connection: process.env.DATABASE_URL })

const migrations = {
  first: {
    up: (db) => db.raw('CREATE TABLE migrated (id integer PRIMARY KEY); INSERT INTO migrated VALUES (1)'),
    down: (db) => db.schema.dropTable('migrated'),
  },
  second: {
    config: { transaction: false },
    up: async (db) => {
      await db.raw(`ALTER TABLE migrated ADD COLUMN name text NOT NULL DEFAULT 'x'`)
      await db.raw('CREATE INDEX CONCURRENTLY migrated_name ON migrated (name)')
    },
    down: (db) => db.schema.alterTable('migrated', (table) => table.dropColumn('name')),
  },
}
const migrationSource = {
  getMigrations: async () => Object.keys(migrations),
  getMigrationName: (name) => name,
  getMigration: async (name) => migrations[name],
}

async function main() {
  await knex.migrate.latest({ migrationSource })
  await knex.migrate.down({ migrationSource })
  await knex.migrate.latest({ migrationSource })
  await knex.destroy()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
