import { execFileSync } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readIfPresent } from './files.ts'
import { identify, isRunning, type ProcessIdentity } from './process-identity.ts'

const pollMs = 20
const fastShutdownMs = 8000
const immediateShutdownMs = 3000

/** A running Postgres server: its first process and where it listens. */
export type Postmaster = { process: ProcessIdentity; port: number; socketDir: string }

/** `postmaster.pid` as far as it is written yet; the process in it may be long gone. */
export type PidFile = { pid: number; port: number; socketDir: string; ready: boolean }

/** Reads the file in which a postmaster says who and how far it is. */
export async function readPidFile(cluster: string): Promise<PidFile | null> {
  const text = await readIfPresent(join(cluster, 'postmaster.pid'))
  if (!text) return null
  const lines = text.split('\n').map((line) => line.trim())
  return {
    pid: Math.abs(Number(lines[0])), // negative in single-user mode
    port: Number(lines[3]),
    socketDir: lines[4] ?? '',
    ready: lines[7] === 'ready',
  }
}

/** The postmaster that runs on the cluster now, whoever started it, and whether it accepts connections yet. */
export async function findPostmaster(cluster: string): Promise<(Postmaster & { ready: boolean }) | null> {
  const file = await readPidFile(cluster)
  const found = file && identify(file.pid)
  if (!found || !(await worksIn(file.pid, cluster))) return null
  return { process: found, port: file.port, socketDir: file.socketDir, ready: file.ready }
}

/** Every process of Postgres works in its cluster's folder, and hardly any other process does. */
export async function worksIn(pid: number, cluster: string): Promise<boolean> {
  if (process.platform !== 'linux') return commandOf(pid).includes('postgres')
  try {
    const [there, here] = await Promise.all([stat(`/proc/${pid}/cwd`), stat(cluster)])
    const command = await readFile(`/proc/${pid}/comm`, 'utf8')
    return there.dev === here.dev && there.ino === here.ino && command.startsWith('postgres')
  } catch {
    return false
  }
}

function commandOf(pid: number): string {
  try {
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8', timeout: 2000 })
  } catch {
    return ''
  }
}

/**
 * Ends a server: a fast shutdown, which ends sessions and writes a checkpoint; without success in 8 s an immediate
 * one, after which the next start replays the log. Resolves when the process is gone.
 */
export async function stopPostmaster({ process: running }: Postmaster): Promise<void> {
  if (await endWithin(running, 'SIGINT', fastShutdownMs)) return
  if (await endWithin(running, 'SIGQUIT', immediateShutdownMs)) return
  await endWithin(running, 'SIGKILL', immediateShutdownMs)
}

async function endWithin(
  running: ProcessIdentity,
  signal: NodeJS.Signals,
  limitMs: number,
): Promise<boolean> {
  const deadline = performance.now() + limitMs
  if (isRunning(running)) process.kill(running.pid, signal)
  while (isRunning(running)) {
    if (performance.now() > deadline) return false
    await pause(pollMs)
  }
  return true
}
