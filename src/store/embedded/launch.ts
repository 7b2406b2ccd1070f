import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { StartError } from '../../start-error.ts'
import { giveTo } from './account.ts'
import type { Binaries } from './binaries.ts'
import { settingsFileOf } from './cluster.ts'
import { type Endpoint, prepareSocketDir } from './endpoint.ts'
import { writeWhole } from './files.ts'
import { clusterOf, type Home } from './home.ts'
import { signalOrphans } from './orphans.ts'
import { complaintIn, postgresEnvironment } from './postgres-output.ts'
import { findPostmaster, type Postmaster, readPidFile, stopPostmaster } from './postmaster.ts'
import { identify } from './process-identity.ts'
import { accessRules, renderSettings } from './settings.ts'

const pollMs = 15
const maxLogBytes = 8 * 1024 * 1024
const retryMs = 100
const orphansAskedAfterMs = 1000
const orphansKilledAfterMs = 3000
const orphansGoneAfterMs = 15_000

/** All that a start of the server needs. */
export type LaunchPlan = {
  home: Home
  binaries: Binaries
  endpoint: Endpoint
  /** How many clients it takes at a time. */
  connections: number
  signal?: AbortSignal | undefined
}

/**
 * Starts the server and waits until it accepts connections, however long it has to recover.
 *
 * @throws StartError with Postgres' own last complaint
 */
export async function launch(plan: LaunchPlan): Promise<Postmaster> {
  const { home, endpoint, connections, signal } = plan
  const cluster = clusterOf(home.path)
  const memory = process.constrainedMemory() || Number.POSITIVE_INFINITY
  const settings = renderSettings({ ...endpoint, connections, memory: Math.min(memory, totalmem()) })
  await writeWhole(settingsFileOf(cluster), settings, home.account)
  await writeWhole(join(cluster, 'pg_hba.conf'), accessRules, home.account)
  await prepareSocketDir(home, endpoint)
  const began = performance.now()
  for (;;) {
    signal?.throwIfAborted()
    const { postmaster, complaint } = await tryOnce(plan, cluster)
    if (postmaster) return postmaster
    const waited = performance.now() - began
    if (!/shared memory block .* still in use/.test(complaint) || waited > orphansGoneAfterMs) {
      throw new StartError(`Postgres does not start: ${complaint} (its log is ${logOf(home)})`)
    }
    if (waited > orphansKilledAfterMs) await signalOrphans(cluster, 'SIGKILL')
    else if (waited > orphansAskedAfterMs) await signalOrphans(cluster, 'SIGQUIT')
    await pause(retryMs)
  }
}

type Attempt = { postmaster: Postmaster; complaint?: never } | { postmaster?: never; complaint: string }

async function tryOnce({ home, binaries, endpoint, signal }: LaunchPlan, cluster: string): Promise<Attempt> {
  const log = await openLog(home)
  try {
    const start = (await log.stat()).size
    const child = spawn(binaries.postgres, ['-D', cluster], {
      ...home.account,
      cwd: '/',
      detached: true, // in a group of its own: Ctrl-C in the terminal is for the gateway
      env: postgresEnvironment(await besidesStalePid(cluster)),
      stdio: ['ignore', log.fd, log.fd],
    })
    child.unref()
    const failure = await untilReady(child, cluster, signal)
    const running = child.pid === undefined ? null : identify(child.pid)
    if (failure === null && running) return { postmaster: { process: running, ...endpoint } }
    return { complaint: complaintIn(await readFrom(log, start)) ?? failure ?? 'it ended at once' }
  } finally {
    await log.close()
  }
}

/**
 * A pid in `postmaster.pid` that now belongs to another process makes Postgres refuse. Told that it is its
 * grandparent's, Postgres looks through it and still checks the shared memory, which deleting the file would prevent.
 */
async function besidesStalePid(cluster: string): Promise<Record<string, string>> {
  const file = await readPidFile(cluster)
  return file && !(await findPostmaster(cluster)) ? { PG_GRANDPARENT_PID: String(file.pid) } : {}
}

/** `null` when it accepts connections, or what went wrong. */
async function untilReady(
  child: ChildProcess,
  cluster: string,
  signal?: AbortSignal,
): Promise<string | null> {
  let ended: string | null = null
  child.once('error', (error) => {
    ended = error.message
  })
  child.once('exit', (code, by) => {
    ended = `it ended with ${by ?? code}`
  })
  while (ended === null) {
    const file = await readPidFile(cluster)
    if (file?.pid === child.pid && file?.ready) return null
    const running = signal?.aborted && child.pid !== undefined ? identify(child.pid) : null
    if (running) {
      await stopPostmaster({ process: running, port: 0, socketDir: '' })
      signal?.throwIfAborted()
    }
    await pause(pollMs)
  }
  return ended
}

const logOf = (home: Home) => join(home.path, 'postgres.log')

async function openLog(home: Home): Promise<FileHandle> {
  const path = logOf(home)
  // Not through a link: root would write wherever the folder's owner points it.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW
  let log = await open(path, flags, 0o600)
  if ((await log.stat()).size > maxLogBytes) {
    await log.close()
    await rename(path, `${path}.1`)
    log = await open(path, flags, 0o600)
  }
  await giveTo(home.account, path)
  return log
}

async function readFrom(log: FileHandle, start: number): Promise<string> {
  const { size } = await log.stat()
  const { buffer } = await log.read(Buffer.alloc(Math.min(size - start, 65_536)), { position: start })
  return buffer.toString('utf8')
}
