// Applies Drizzle's migrations.
const { drizzle } = require('drizzle-orm/node-postgres')
const { migrate } = require('drizzle-orm/node-postgres/migrator')
const path = require('node:path')

const db = drizzle(process.env.DATABASE_URL)
migrate(db, { migrationsFolder: path.join(__dirname, 'migrations') }).then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  },
)
