import { existsSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { StartError } from '../../start-error.ts'
import { findAnswering } from './adopt.ts'
import { locateBinaries, removeOldCopies } from './binaries.ts'
import { changePassword, hasCluster, makeCluster } from './cluster.ts'
import { chooseEndpoint, removeSocketDir } from './endpoint.ts'
import { clusterOf, type Home, settleHome } from './home.ts'
import { type LaunchPlan, launch } from './launch.ts'
import { takeOwnerLock } from './owner-lock.ts'
import { keepPassword } from './password.ts'
import { findPostmaster, type Postmaster, stopPostmaster } from './postmaster.ts'
import { gatewayRole } from './settings.ts'
import { type EmbeddedLog, supervise } from './supervisor.ts'

/** An embedded Postgres that is kept running until `stop`. */
export type EmbeddedPostgres = {
  /** Over TCP, with user, password and the database `longwave`. */
  url: string
  /** Folder of the unix socket, which is quicker: `postgres(url, { host: socketDir })`. */
  socketDir: string
  /** Shuts Postgres down (fast; after 8 s immediate) and lets others have the data folder. */
  stop(): Promise<void>
}

/** What `startEmbeddedPostgres` needs. */
export type EmbeddedOptions = {
  /** Folder of all data; made if missing. */
  dataDir: string
  log: EmbeddedLog
  /** Connections that its clients need; one that is adopted keeps what it was started with. */
  connections?: number
  /** Gives up a start under way, leaving nothing running; afterwards only `stop` ends the server. */
  signal?: AbortSignal | undefined
}

/** More than one process alone ever needs, so that a tool can connect beside it. */
const MIN_CONNECTIONS = 57

type Started = { postmaster: Postmaster; plan: LaunchPlan; password: string }

/**
 * Starts the Postgres of a data folder, or adopts the one that a killed gateway left running, and restarts it
 * whenever it ends.
 *
 * @throws StartError, one line for the person at the terminal, when that is impossible
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir)
  try {
    if (process.platform === 'win32')
      throw new StartError('there is no embedded Postgres on Windows: set DATABASE_URL')
    await makeFolder(dataDir)
    const lock = await takeOwnerLock(dataDir)
    try {
      const { postmaster, plan, password } = await begin(dataDir, options)
      const { home, endpoint } = plan
      const restart = (signal: AbortSignal) => adoptOrLaunch({ ...plan, signal }, password)
      const supervisor = supervise(postmaster, restart, options.log)
      return {
        url: `postgres://${gatewayRole}:${password}@127.0.0.1:${endpoint.port}/${gatewayRole}`,
        socketDir: endpoint.socketDir,
        async stop() {
          await supervisor.stop()
          await removeSocketDir(home, endpoint)
          await lock.release()
        },
      }
    } catch (error) {
      await lock.release()
      throw error
    }
  } catch (error) {
    throw inPlainWords(error, dataDir)
  }
}

/** With its parents; Node's own `recursive` never returns where a file system refuses with ENOENT, as /proc does. */
async function makeFolder(path: string): Promise<void> {
  if (existsSync(path) && (await stat(path)).isDirectory()) return
  if (!existsSync(dirname(path))) await makeFolder(dirname(path))
  await mkdir(path)
}

async function begin(dataDir: string, options: EmbeddedOptions): Promise<Started> {
  const { log, signal } = options
  const connections = Math.max(MIN_CONNECTIONS, options.connections ?? 0)
  const home = await settleHome(dataDir)
  const binaries = await locateBinaries(home.account, home.path)
  const { password, fresh } = await keepPassword(dataDir)
  if (fresh) await replacePassword(home, password, binaries)
  await makeCluster(home, binaries, password, signal)
  signal?.throwIfAborted()

  const live = await findAnswering(clusterOf(home.path), password, signal)
  if (live) {
    const { port, socketDir } = live
    log.info({ pid: live.process.pid, port }, 'adopted the Postgres that was still running')
    return {
      postmaster: live,
      plan: { home, binaries, endpoint: { port, socketDir }, connections },
      password,
    }
  }
  const plan = { home, binaries, endpoint: await chooseEndpoint(home), connections, signal }
  const postmaster = await launch(plan)
  log.info({ pid: postmaster.process.pid, port: postmaster.port, home: home.path }, 'Postgres runs')
  await removeOldCopies(home.path, binaries)
  return { postmaster, plan, password }
}

/** Without its password file nobody can sign in to a cluster that is there already. */
async function replacePassword(
  home: Home,
  password: string,
  binaries: LaunchPlan['binaries'],
): Promise<void> {
  if (!hasCluster(home)) return
  const live = await findPostmaster(clusterOf(home.path))
  if (live) await stopPostmaster(live)
  await changePassword(home, binaries, password)
}

async function adoptOrLaunch(plan: LaunchPlan, password: string): Promise<Postmaster> {
  return (await findAnswering(clusterOf(plan.home.path), password, plan.signal)) ?? launch(plan)
}

function inPlainWords(error: unknown, dataDir: string): unknown {
  const { code, path = dataDir, message } = error as NodeJS.ErrnoException
  if (error instanceof StartError || !(error instanceof Error) || !code || error.name === 'AbortError')
    return error
  const where = path.startsWith(`${dataDir}/`) ? `${path} in DATA_DIR ${dataDir}` : `DATA_DIR ${dataDir}`
  const reasons: Record<string, string> = {
    EEXIST: `${where} is not a folder: choose another DATA_DIR`,
    ENOTDIR: `${where} is not inside a folder: choose another DATA_DIR`,
    ENOENT: `${where} is missing and cannot be made: choose another DATA_DIR`,
    EACCES: `no permission for ${where}: give this user (uid ${process.getuid?.()}) the rights, or choose another DATA_DIR`,
    EPERM: `no permission for ${where}: give this user (uid ${process.getuid?.()}) the rights, or choose another DATA_DIR`,
    EROFS: `${where} is on a read-only disk: choose another DATA_DIR`,
    ENOSPC: `the disk of ${where} is full: make room, or choose another DATA_DIR`,
    EDQUOT: `the quota on the disk of ${where} is used up: make room, or choose another DATA_DIR`,
  }
  return new StartError(reasons[code] ?? `cannot use ${where}: ${message}`, { cause: error })
}
