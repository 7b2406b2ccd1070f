import type { FaultRecord, History, MarkRecord } from '../history/history.ts'
import { Findings, type Violation } from './violation.ts'

/** An acknowledgement does not wait for the disk: that long before Postgres dies it may have to be made again. */
const UNSYNCED_MS = 1_000

/** P5: read marks and stored cursors never move back. */
export function checkMarks(
  history: Pick<History, 'devices' | 'readMarks' | 'storedCursors' | 'faults'>,
): Violation[] {
  const findings = new Findings()
  checkKind(history.readMarks, 'a read mark moved back', findings)
  const deaths = history.faults.filter(({ kind }) => /^Postgres/.test(kind))
  const isCertain = (mark: MarkRecord) => !isUnsynced(mark, deaths)
  checkKind(history.storedCursors, 'a stored cursor moved back', findings, isCertain)
  checkReadEvents(history, findings)
  return findings.violations
}

function isUnsynced({ endedAt }: MarkRecord, deaths: readonly FaultRecord[]): boolean {
  return deaths.some(({ beganAt, healedAt }) => endedAt > beganAt - UNSYNCED_MS && endedAt < healedAt)
}

/** What is seen is no less than whatever was certain before one looked. */
function checkKind(
  marks: readonly MarkRecord[],
  what: string,
  findings: Findings,
  isCertain = (_: MarkRecord) => true,
): void {
  for (const [of, own] of Map.groupBy(marks, (mark) => mark.of)) {
    const certain = own.filter(isCertain).toSorted((a, b) => a.endedAt - b.endedAt)
    let next = 0
    let best: MarkRecord | undefined
    for (const look of own
      .filter(({ kind }) => kind === 'seen')
      .toSorted((a, b) => a.startedAt - b.startedAt)) {
      for (let mark = certain[next]; mark && mark.endedAt <= look.startedAt; mark = certain[next]) {
        if (!best || mark.value > best.value) best = mark
        next += 1
      }
      if (best && look.value < best.value) findings.add('P5', what, { of, best, look })
    }
  }
}

/** A user's own devices are told of read marks; these too only grow. */
function checkReadEvents({ devices }: Pick<History, 'devices'>, findings: Findings): void {
  for (const device of devices) {
    const marks = new Map<string, number>()
    for (const { type, conversation, seq, id } of device) {
      if (type !== 'conversation.read') continue
      const before = marks.get(conversation) ?? 0
      if (seq <= before) {
        findings.add('P5', 'a read mark was told backwards', {
          device: device.name,
          conversation,
          id,
          seq,
          before,
        })
      }
      marks.set(conversation, seq)
    }
  }
}
