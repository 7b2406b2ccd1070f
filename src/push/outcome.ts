import type { DuePush, Settlement } from '../store/pushes.ts'
import { judge } from './absence.ts'
import type { Delivered, Delivery } from './deliveries.ts'
import type { PushMetrics } from './metrics.ts'

/** What became of a push in a turn. `at`: when it is due again (ms since 1970), if it is. */
export type Outcome = Omit<Settlement, 'due_ms'> & { at: number }

type Given = {
  /** The epoch of a user's inbox in a life of the database. */
  epochOf(databaseEpoch: string, userId: string): string
  metrics: PushMetrics
  /** ms since 1970, the same on all nodes. */
  now(): number
}

const GIVE_UP_MS = 24 * 3_600_000
const NOTHING: Delivered = { rung: [], refused: [], tries: {} }

/** What becomes of it if there is nothing to send, or not now. */
export function withoutSending(delivery: Delivery, { epochOf, metrics, now }: Given): Outcome | undefined {
  const { push, view } = delivery
  const over = () => outcomeOf(delivery, wasRung(push) ? 'rung' : 'over', NOTHING)
  if (push.age_ms > GIVE_UP_MS) {
    metrics.abandoned += 1
    return over()
  }
  if (push.withdrawing) return undefined
  // Read, muted, deleted, left …
  if (view.seq === null) return over()
  const epoch = epochOf(view.database_epoch, push.user_id)
  const absence = judge({ inbox_id: push.inbox_id, epoch }, view.devices)
  if (absence.type === 'away') return undefined
  return absence.type === 'received' ? over() : later(delivery, now() + absence.ms)
}

/** What becomes of it once all devices are done with it. */
export function afterSending(delivery: Delivery, { rung, refused, tries }: Delivered): Outcome {
  const { push } = delivery
  // What was taken back rings nowhere: that device is done with.
  const delivered = push.withdrawing
    ? { rung: [], refused: [...rung, ...refused], tries }
    : { rung, refused, tries }
  const withdrawn = push.withdrawing ? rung : []
  const times = Object.values(tries).map(({ at }) => at)
  if (times.length > 0) return { ...later(delivery, Math.min(...times)), ...delivered, withdrawn }
  const isRung = delivered.rung.length > 0 || wasRung(push)
  return { ...outcomeOf(delivery, isRung ? 'rung' : 'over', delivered), withdrawn }
}

/** It is to be looked at again then. */
export function later(delivery: Delivery, at: number): Outcome {
  return { ...outcomeOf(delivery, 'later', NOTHING), at }
}

/** Whether some device shows a notification of it. */
function wasRung({ rung, withdrawing }: DuePush): boolean {
  return rung.length > 0 && !withdrawing
}

function outcomeOf({ push, view }: Delivery, outcome: Outcome['outcome'], delivered: Delivered): Outcome {
  const { user_id, about, withdrawing, seq: planned_seq } = push
  const seq = view.seq ?? planned_seq
  return { user_id, about, withdrawing, planned_seq, outcome, seq, ...delivered, withdrawn: [], at: 0 }
}
