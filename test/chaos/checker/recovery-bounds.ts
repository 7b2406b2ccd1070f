import { HEARTBEAT_S } from '../clients/event-stream.ts'
import type { Recovery } from './recovery.ts'
import { Findings, type Violation } from './violation.ts'

/** From Postgres' return to the next answered send. */
const FIRST_SEND_MS = 5_000
/** From a node's death until its readers are served by another one … */
const DEATH_FELT_MS = 5_000
/** … and from its falling silent, which only a watchdog can notice. */
const SILENCE_FELT_MS = 2 * HEARTBEAT_S * 1_000 + 5_000

/** P7: everything goes on in time; readers count only where nothing else was broken meanwhile. */
export function checkRecovery(recovery: Recovery): Violation[] {
  const findings = new Findings()
  for (const [kind, { sends, alone }] of recovery) {
    if (/^(Postgres|standby)/.test(kind) && sends.max > FIRST_SEND_MS) {
      findings.add('P7', 'the first send came late', { kind, sends })
    }
    const bound = /^node killed/.test(kind) ? DEATH_FELT_MS : SILENCE_FELT_MS
    if (alone.p99 > bound) findings.add('P7', 'readers were left alone too long', { kind, alone, bound })
  }
  return findings.violations
}
