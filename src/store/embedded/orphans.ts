import { readdir } from 'node:fs/promises'
import { worksIn } from './postmaster.ts'
import { identify, isRunning, type ProcessIdentity } from './process-identity.ts'

/**
 * Sends a signal to what a killed postmaster left behind. Its processes end by themselves within moments, but one
 * that hangs keeps the shared memory, and no new postmaster starts beside it. Does nothing off Linux.
 */
export async function signalOrphans(cluster: string, signal: NodeJS.Signals): Promise<void> {
  for (const orphan of await orphansOf(cluster)) {
    if (isRunning(orphan)) process.kill(orphan.pid, signal)
  }
}

async function orphansOf(cluster: string): Promise<ProcessIdentity[]> {
  if (process.platform !== 'linux') return []
  const found: ProcessIdentity[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || !(await worksIn(Number(name), cluster))) continue
    const orphan = identify(Number(name))
    if (orphan) found.push(orphan)
  }
  return found
}
