import type { History } from '../history/history.ts'
import { checkConversations } from './conversations.ts'
import { FaultWindows } from './fault-windows.ts'
import { checkInboxes } from './inboxes.ts'
import { type Lag, measureLag } from './lag.ts'
import { checkMarks } from './marks.ts'
import { measureRecovery, type Recovery } from './recovery.ts'
import { checkRecovery } from './recovery-bounds.ts'
import { checkSends } from './sends.ts'
import { Findings, type Violation } from './violation.ts'

export type Verdict = { violations: Violation[]; lag: Lag; recovery: Recovery }

const SIGN_OUT_MS = 5_000

/** Holds what was done and seen against the promises P1 to P7. */
export function check(history: History): Verdict {
  const { lag, violations } = measureLag(history)
  const recovery = measureRecovery(history)
  return {
    violations: [
      ...checkSends(history),
      ...checkInboxes(history),
      ...checkConversations(history),
      ...checkMarks(history),
      ...checkSignOuts(history),
      ...violations,
      ...checkRecovery(recovery),
      ...checkAnswers(history),
    ],
    lag,
    recovery,
  }
}

/** P6: who is signed out is gone within 5 s, plus the time that something was broken meanwhile. */
export function checkSignOuts({ signOuts, faults }: Pick<History, 'signOuts' | 'faults'>): Violation[] {
  const findings = new Findings()
  const windows = new FaultWindows(faults)
  for (const signOut of signOuts) {
    const { answeredAt, endedAt = Number.POSITIVE_INFINITY } = signOut
    const allowed = SIGN_OUT_MS + windows.overlap(answeredAt, endedAt)
    if (endedAt - answeredAt > allowed)
      findings.add('P6', 'a stream outlived its sign-out', { ...signOut, allowed })
  }
  return findings.violations
}

/** What clients saw on the spot and what Postgres counted: unknown answers, misplaced cursors, deadlocks. */
function checkAnswers({ anomalies, deadlocks }: History): Violation[] {
  const findings = new Findings()
  for (const { what, detail, meanwhile } of anomalies)
    findings.add(/cursor|stream|heartbeat/.test(what) ? 'P3' : 'P7', what, { detail, meanwhile })
  if (deadlocks > 0) findings.add('P7', 'Postgres had to break deadlocks', { deadlocks })
  return findings.violations
}
