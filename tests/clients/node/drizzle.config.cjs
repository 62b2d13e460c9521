// What `drizzle-kit migrate` reads.
const path = require('node:path')

module.exports = {
  dialect: 'postgresql',
  out: path.relative(process.cwd(), path.join(__dirname, 'migrations')),
  dbCredentials: { url: process.env.DATABASE_URL },
}
