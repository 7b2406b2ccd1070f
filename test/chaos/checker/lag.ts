import type { Connection } from '../history/device-log.ts'
import type { History } from '../history/history.ts'
import { Distribution, type Summary } from './distribution.ts'
import { FaultWindows } from './fault-windows.ts'
import { Findings, type Violation } from './violation.ts'

const MAX_MEDIAN_MS = 300
const MAX_MS = 5_000
/** Fewer prove nothing. */
const MIN_SAMPLES = 300

/** From sending to being seen by a device that was listening: always, and while nothing was broken. */
export type Lag = { all: Summary; quiet: Summary }

/** P7: while nothing is broken, and has not been for a while, delivery is prompt. */
export function measureLag(history: Pick<History, 'devices' | 'sends' | 'faults'>): {
  lag: Lag
  violations: Violation[]
} {
  const [all, quiet] = [new Distribution(), new Distribution()]
  const findings = new Findings()
  const windows = new FaultWindows(history.faults)
  // Of a send that was repeated nobody knows which try it was that worked.
  const startedAt = new Map(
    history.sends.flatMap((send) => (send.tries === 1 ? [[send.text, send.startedAt]] : [])),
  )
  for (const device of history.devices) {
    for (const event of device) {
      const sentAt = event.type === 'message.created' ? startedAt.get(event.text) : undefined
      const via = device.connections[event.connection]
      if (sentAt === undefined || !via || via.isSlow) continue
      const from = Math.max(sentAt, listeningSince(via))
      all.add(event.at - from)
      if (windows.overlap(from, event.at) > 0) continue
      quiet.add(event.at - from)
      if (event.at - from > MAX_MS)
        findings.add('P7', 'late without a fault', { device: device.name, event, via, from })
    }
  }
  const lag = { all: all.summary(), quiet: quiet.summary() }
  if (lag.quiet.count >= MIN_SAMPLES && lag.quiet.p50 > MAX_MEDIAN_MS) {
    findings.add('P7', 'slow without a fault', lag.quiet)
  }
  return { lag, violations: findings.violations }
}

/** A poll is answered with what there is; a stream begins with what it has missed. */
function listeningSince({ transport, sentAt, openedAt }: Connection): number {
  return transport === 'poll' || transport === 'long-poll' ? sentAt : openedAt
}
