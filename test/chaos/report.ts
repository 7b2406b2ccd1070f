import type { Verdict } from './checker/check.ts'
import type { Summary } from './checker/distribution.ts'
import type { History } from './history/history.ts'

/** The counts of a campaign. */
export type Counts = {
  sends: number
  ok: number
  unknown: number
  refused: number
  deliveries: number
  kills: number
}

export function countOf({ sends, devices, faults }: History): Counts {
  const of = (outcome: string) => sends.filter((send) => send.outcome === outcome).length
  return {
    sends: sends.length,
    ok: of('ok'),
    unknown: of('unknown'),
    refused: of('refused'),
    deliveries: devices.reduce((sum, device) => sum + device.length, 0),
    kills: faults.reduce((sum, fault) => sum + fault.kills, 0),
  }
}

/** What a campaign found, for people. */
export function report(history: History, { violations, lag, recovery }: Verdict): string {
  const { sends, ok, unknown, refused, deliveries, kills } = countOf(history)
  const faults = Map.groupBy(history.faults, (fault) => fault.kind)
  const lines = [
    `sends        ${sends} (${ok} answered, ${unknown} unknown, ${refused} refused)`,
    `deliveries   ${deliveries} to ${history.devices.length} devices`,
    `also         ${history.memberships.length} changes of membership, ${history.readMarks.length} read marks, ` +
      `${history.storedCursors.length} stored cursors, ${history.signOuts.length} sign-outs`,
    `faults       ${history.faults.length}, kills ${kills}, deadlocks ${history.deadlocks}`,
    `lag          ${show(lag.all)}`,
    `  quiet      ${show(lag.quiet)}`,
    'fault (how often): ms until a send was answered after it healed; until its readers were served again',
  ]
  for (const [kind, of] of [...faults].sort()) {
    const took = recovery.get(kind)
    lines.push(`  ${kind} (${of.length})`)
    if (took && took.sends.count > 0) lines.push(`    sends      ${show(took.sends)}`)
    if (took && took.readers.count > 0) lines.push(`    readers    ${show(took.readers)}`)
    if (took && took.alone.count > 0) lines.push(`      alone    ${show(took.alone)}`)
  }
  lines.push(`violations   ${violations.length}`)
  for (const { promise, what, detail } of violations.slice(0, 40)) {
    lines.push(`  ${promise} ${what}: ${detail.slice(0, 600)}`)
  }
  return lines.join('\n')
}

function show({ count, p50, p99, max }: Summary): string {
  const [a, b, c] = [p50, p99, max].map((ms) => (ms < 10 ? ms.toFixed(1) : ms.toFixed(0)))
  return `p50 ${a} ms, p99 ${b} ms, max ${c} ms (${count})`
}
