import type { Connection } from '../history/device-log.ts'
import type { FaultRecord, History } from '../history/history.ts'
import { Distribution, type Summary } from './distribution.ts'

/** Per kind of fault: from its healing to the next answered send, and how long its readers were without anybody. */
export type Recovery = Map<string, { sends: Summary; readers: Summary; alone: Summary }>

/** A reader notices a little later than it happens. */
const NOTICED_WITHIN_MS = 15_000

/** How long everything took to go on. `alone` are the readers during whose search nothing else was broken. */
export function measureRecovery({
  faults,
  sends,
  devices,
}: Pick<History, 'faults' | 'sends' | 'devices'>): Recovery {
  const kinds = new Map<string, { sends: Distribution; readers: Distribution; alone: Distribution }>()
  const of = (kind: string) => {
    const known = kinds.get(kind)
    if (known) return known
    const fresh = { sends: new Distribution(), readers: new Distribution(), alone: new Distribution() }
    kinds.set(kind, fresh)
    return fresh
  }
  const answered = sends
    .flatMap((send) => (send.outcome === 'ok' ? [send.endedAt] : []))
    .sort((a, b) => a - b)
  let next = 0
  for (const fault of faults.toSorted((a, b) => a.healedAt - b.healedAt)) {
    while (next < answered.length && (answered[next] ?? 0) < fault.healedAt) next += 1
    const first = answered[next]
    if (first === undefined) continue
    // While Postgres or its standby is away again, no send can be answered anywhere.
    const isAwayAgain = faults.some(
      (each) =>
        each !== fault && isEverywhere(each) && each.beganAt < first && each.healedAt > fault.healedAt,
    )
    if (!isAwayAgain) of(fault.kind).sends.add(first - fault.healedAt)
  }
  for (const device of devices) {
    for (const { lost, from, to } of interruptions(device.connections)) {
      const causes = faults.filter(
        ({ beganAt, healedAt }) => beganAt <= lost.endedAt && healedAt >= from - NOTICED_WITHIN_MS,
      )
      const cause = causes.findLast((fault) => strikes(fault, lost)) ?? causes.findLast(isEverywhere)
      if (!cause) continue
      of(cause.kind).readers.add(to - from)
      const isAlone = !faults.some(
        (each) => each !== cause && each.beganAt <= to && each.healedAt + 2_000 >= from,
      )
      if (isAlone) of(cause.kind).alone.add(to - from)
    }
  }
  return new Map(
    [...kinds].map(([kind, { sends: s, readers, alone }]) => [
      kind,
      { sends: s.summary(), readers: readers.summary(), alone: alone.summary() },
    ]),
  )
}

type Interruption = { lost: Connection; from: number; to: number }

/** Each connection that was lost, since when it was, and when the device was served again. */
function* interruptions(connections: readonly Connection[]): Generator<Interruption> {
  let lost: Connection | undefined
  for (const connection of connections) {
    if (lost && !Number.isNaN(connection.openedAt)) {
      yield { lost, from: lost.end === 'silent' ? lost.heardAt : lost.endedAt, to: connection.openedAt }
      lost = undefined
    }
    if (connection.end === 'broken' || connection.end === 'silent') lost ??= connection
  }
}

function strikes(
  { target, beganAt, healedAt }: FaultRecord,
  { node, heardAt, endedAt }: Connection,
): boolean {
  return target.includes(`node ${node}`) && beganAt <= endedAt && healedAt >= heardAt
}

function isEverywhere({ target }: FaultRecord): boolean {
  return target === 'postgres'
}
