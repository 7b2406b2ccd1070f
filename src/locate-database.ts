import type { Logger } from 'pino'
import type { Config } from './config.ts'
import type { DatabaseOptions } from './store/database.ts'
import { startEmbeddedPostgres } from './store/embedded/index.ts'

/** Connections of each of the two pools, of all workers together and of one. */
const POOLED = 22
const MIN_POOL = 2
const MAX_POOL = 8
/**
 * Beside its pools a worker has one for its committer, one each for acknowledgements, presence, attendance, pushes and
 * their queue, two for searches, one for their index, one for migrations at its start and housekeeping later.
 */
const SINGLE = 10

/**
 * Where the database is and how much of it each worker takes: the one of DATABASE_URL, else an embedded one, which is
 * started and runs until `stack` is disposed of. Throws StartError when it cannot be.
 */
export async function locateDatabase(
  config: Config,
  log: Logger,
  stack: AsyncDisposableStack,
): Promise<DatabaseOptions> {
  const each = Math.min(MAX_POOL, Math.max(MIN_POOL, Math.floor(POOLED / config.workers)))
  const pools = { maxConnections: each, maxTransactions: each }
  if (config.databaseUrl !== undefined) return { url: config.databaseUrl, ...pools }
  // The first line of the log is the address: what comes before it is for those who look closer.
  const quiet = {
    info: (fields: object, message: string) => log.debug(fields, message),
    warn: (fields: object, message: string) => log.warn(fields, message),
    error: (fields: object, message: string) => log.error(fields, message),
  }
  const { url, socketDir, stop } = await startEmbeddedPostgres({
    dataDir: config.dataDir,
    connections: config.workers * (2 * each + SINGLE),
    log: quiet,
  })
  stack.defer(stop)
  return { url, socketDir, ...pools }
}
