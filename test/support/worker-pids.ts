import { readFileSync } from 'node:fs'
import { identify } from '../../src/store/embedded/process-identity.ts'
import type { GatewayProcess } from './gateway-process.ts'

/** The pids of a gateway's workers that run just now; its Postgres is none of them. */
export function workersOf({ child: { pid } }: GatewayProcess): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  return children.map(Number).filter((each) => commandOf(each).includes('worker.ts'))
}

/** Whether any of them still runs. */
export function runsAny(pids: readonly number[]): boolean {
  return pids.some((pid) => identify(pid) !== null)
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
