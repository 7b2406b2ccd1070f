import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { StartError } from '../start-error.ts'
import { type Database, DEADLOCK_DETECTED, errorCode, LOCK_NOT_AVAILABLE, type Sql } from './database.ts'

const MIGRATIONS = new URL('./migrations/', import.meta.url)
/** Any constant: nodes that start together migrate one after the other. */
const MIGRATION_LOCK = 0x10_9a7e
/** Whoever serves waits behind a migration that waits for a lock: so long at most, and then has its turn. */
const LOCK_TIMEOUT = '1s'
const AGAIN_MS = 1_000

/**
 * Brings the schema up to date, each migration in a transaction of its own, and settles the epoch. `onWait` is told once of
 * a migration whose locks somebody holds, as a dump does. Throws StartError when the database is newer than this program.
 */
export async function migrate(
  database: Database,
  onWait: (migration: string) => void = () => {},
): Promise<void> {
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
    for (const name of names.filter((each) => !applied.has(each))) await apply(connection, name, onWait)
    await connection`SELECT settle_epoch()`
  } finally {
    await connection.end({ timeout: 2 })
  }
}

async function apply(sql: Sql, name: string, onWait: (migration: string) => void): Promise<void> {
  const text = await readFile(new URL(name, MIGRATIONS), 'utf8')
  for (let isFirst = true; ; isFirst = false) {
    try {
      // Several statements sent at once are one transaction.
      await sql.unsafe(
        `SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'; ${text}; INSERT INTO migrations (name) VALUES ('${name}')`,
      )
      return
    } catch (error) {
      const code = errorCode(error)
      if (code !== LOCK_NOT_AVAILABLE && code !== DEADLOCK_DETECTED) throw error
      if (isFirst) onWait(name)
      await pause(AGAIN_MS * (0.75 + Math.random() / 2))
    }
  }
}
