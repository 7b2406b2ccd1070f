import { readdir, readFile } from 'node:fs/promises'
import { StartError } from '../start-error.ts'
import type { Database } from './database.ts'

const MIGRATIONS = new URL('./migrations/', import.meta.url)
/** Any constant: nodes that start together migrate one after the other. */
const MIGRATION_LOCK = 0x10_9a7e

/**
 * Brings the schema up to date, each migration in a transaction of its own, and settles the epoch.
 * Throws StartError when the database is newer than this program.
 */
export async function migrate(database: Database): Promise<void> {
  const names = (await readdir(MIGRATIONS)).filter((name) => /^\d{4}-.*\.sql$/.test(name)).sort()
  const connection = database.connect('longwave migrations', 1, { statement_timeout: 0 })
  try {
    await connection`SELECT pg_advisory_lock(${MIGRATION_LOCK})`
    await connection`CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`
    const applied = new Set((await connection`SELECT name FROM migrations`).map((row) => String(row.name)))
    const unknown = [...applied].find((name) => !names.includes(name))
    if (unknown) {
      throw new StartError(
        `The database has the migration ${unknown}, which this version does not know: run the newer version of Longwave`,
      )
    }
    for (const name of names.filter((each) => !applied.has(each))) {
      const text = await readFile(new URL(name, MIGRATIONS), 'utf8')
      // Several statements sent at once are one transaction.
      await connection.unsafe(`${text}; INSERT INTO migrations (name) VALUES ('${name}')`)
    }
    await connection`SELECT settle_epoch()`
  } finally {
    await connection.end({ timeout: 2 })
  }
}
