import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const startTimeField = 19 // of /proc/<pid>/stat, counted after the command name: proc(5), field 22

/** A process that cannot be mistaken for a later one with the same pid. */
export type ProcessIdentity = {
  pid: number
  /** Boot and start time where the system tells them, otherwise `null`. */
  started: string | null
}

/** Who `pid` is now, or `null` when nobody is. */
export function identify(pid: number): ProcessIdentity | null {
  if (!signalReaches(pid)) return null
  if (process.platform === 'linux') return identifyLinux(pid)
  return { pid, started: startedByPs(pid) }
}

/** Whether that very process still runs; with an unknown start time, whether its pid does. */
export function isRunning(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid)
  if (!now) return false
  return identity.started === null || now.started === null || now.started === identity.started
}

function signalReaches(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function identifyLinux(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z' || state === 'X') return null
    // The same pid and ticks can come again after a reboot, when services start in the same order.
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return { pid, started: `${boot}/${fields[startTimeField - 1]}` }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH' || !signalReaches(pid)
      ? null
      : { pid, started: null }
  }
}

function startedByPs(pid: number): string | null {
  try {
    return (
      execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', timeout: 2000 }).trim() ||
      null
    )
  } catch {
    return null
  }
}
