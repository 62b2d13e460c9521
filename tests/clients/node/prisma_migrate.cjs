// Applies two migrations as `prisma migrate deploy` does: by Prisma's own engine, in the build of
// it that comes from the registry (WebAssembly, over the driver adapter).
const fs = require('node:fs')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { PrismaPg } = require('@prisma/adapter-pg')
const { bindMigrationAwareSqlAdapterFactory } = require('@prisma/driver-adapter-utils')

const directory = path.join(__dirname, 'migrations')
const read = (tag) => fs.readFileSync(path.join(directory, `${tag}.sql`), 'utf8')

async function engine(url) {
  const glue = require.resolve('@prisma/schema-engine-wasm/schema_engine_bg')
  const imports = await import(pathToFileURL(glue))
  const file = path.join(path.dirname(glue), 'schema_engine_bg.wasm')
  const module = new WebAssembly.Module(fs.readFileSync(file))
  const { exports } = new WebAssembly.Instance(module, { './schema_engine_bg.js': imports })
  imports.__wbg_set_wasm(exports)
  exports.__wbindgen_start()
  const adapter = bindMigrationAwareSqlAdapterFactory(new PrismaPg({ connectionString: url }))
  return imports.SchemaEngine.new({ datamodels: undefined }, () => {}, adapter)
}

async function main() {
  const migrations = await engine(process.env.DATABASE_URL)
  const { appliedMigrationNames } = await migrations.applyMigrations({
    migrationsList: {
      baseDir: directory,
      lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
      shadowDbInitScript: '',
      migrationDirectories: ['0000_first', '0001_second'].map((tag) => ({
        path: tag,
        migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: read(tag) } },
      })),
    },
    filters: { externalTables: [], externalEnums: [] },
  })
  if (appliedMigrationNames.length !== 2) throw new Error(`applied: ${appliedMigrationNames}`)
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  },
)
