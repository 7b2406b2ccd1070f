import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Database } from '../../src/store/database.ts'
import { startEmbeddedPostgres } from '../../src/store/embedded/index.ts'

/** A database that lives as long as one bench. */
export type BenchDatabase = AsyncDisposable & {
  /** What a gateway over it is started with. */
  environment: Record<string, string>
  name: string
  /** Runs `work` on it, before a gateway has it. */
  with<T>(work: (database: Database) => Promise<T>): Promise<T>
}

/**
 * The embedded Postgres in a temporary folder or, with `serverUrl`, a database of its own on that server. `isShared` for
 * several gateways: it then runs beside them, not below one of them.
 */
export function createDatabase(serverUrl: string | undefined, isShared: boolean): Promise<BenchDatabase> {
  if (serverUrl !== undefined) return createOnServer(serverUrl)
  return isShared ? createShared() : createEmbedded()
}

const LOG = { debug() {}, info() {}, warn: console.error, error: console.error }

/** Postgres' own user can enter, so that nothing is put elsewhere. */
async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'longwave-bench-'))
  await chmod(folder, 0o755)
  return folder
}

async function createShared(): Promise<BenchDatabase> {
  const dataDir = await makeFolder()
  const postgres = await startEmbeddedPostgres({ dataDir, log: LOG })
  return {
    environment: { DATABASE_URL: postgres.url },
    name: 'longwave',
    async with(work) {
      await using database = new Database({ url: postgres.url })
      return await work(database)
    },
    async [Symbol.asyncDispose]() {
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

async function createEmbedded(): Promise<BenchDatabase> {
  const dataDir = await makeFolder()
  const start = () => startEmbeddedPostgres({ dataDir, log: LOG })
  return {
    environment: { DATA_DIR: dataDir, DATABASE_URL: '' },
    name: 'longwave',
    async with(work) {
      const postgres = await start()
      try {
        await using database = new Database(postgres)
        return await work(database)
      } finally {
        await postgres.stop()
      }
    },
    async [Symbol.asyncDispose]() {
      // Started once more and stopped, lest a gateway that was killed left its Postgres behind.
      await (await start()).stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

async function createOnServer(serverUrl: string): Promise<BenchDatabase> {
  const name = `longwave_bench_${randomBytes(6).toString('hex')}`
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  await onServer(serverUrl, `CREATE DATABASE ${name}`)
  return {
    environment: { DATABASE_URL: url.href },
    name,
    async with(work) {
      await using database = new Database({ url: url.href })
      return await work(database)
    },
    [Symbol.asyncDispose]: () => onServer(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  }
}

async function onServer(url: string, statement: string): Promise<void> {
  await using server = new Database({ url, maxConnections: 1 })
  await server.sql.unsafe(statement)
}
