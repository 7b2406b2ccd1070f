import type { Rung } from './rungs.ts'
import type { State } from './state.ts'

/**
 * Why an attempt failed.
 * - `refused`: a box answered in the server's place, with 403, a page of its own or the wrong type.
 * - `broken`: reset, ended, truncated, empty, not what it should be.
 * - `late`: nothing came in time (only the machine says so).
 * - `busy`: the server itself asks to come later.
 * - `auth`: the credentials are no good just now; new ones are got for the next attempt.
 */
type Fault = 'refused' | 'broken' | 'late' | 'busy' | 'auth'

export type Failure = { fault: Fault; retryAfterMs?: number | undefined; reason: string }

export type Input =
  | { type: 'start'; hasCursor: boolean; highest: number }
  | { type: 'halt' }
  | { type: 'tick' }
  | { type: 'visible'; visible: boolean }
  /** The browser says that it is online again, or that the network changed. */
  | { type: 'online' }
  /** Something of our own was committed, of which an event must come. */
  | { type: 'expect' }
  | { type: 'bytes'; attempt: number }
  | { type: 'hello'; attempt: number; heartbeatMs: number }
  /** A heartbeat or passing event. */
  | { type: 'sign'; attempt: number }
  /** `lagMs`: how much later it came than it might have. */
  | { type: 'event'; attempt: number; id: number; lagMs: number }
  /** The stream skipped an event: it is to be read again from the cursor. */
  | { type: 'gap'; attempt: number }
  | { type: 'bye'; attempt: number; reason: string; retryMs: number }
  /** A stream ended behind a whole frame and without an error, as slices do. */
  | { type: 'ended'; attempt: number }
  /** A poll was answered; `highest` is the id of the last event that the answer proves. */
  | { type: 'answered'; attempt: number; highest: number; events: number; hasMore: boolean }
  | ({ type: 'failed'; attempt: number } & Failure)

export type Status = { state: 'connecting' | 'live' | 'offline'; transport: Rung; reason: string }

export type Effect =
  /** Asks from the current cursor; `wait` in seconds and `limit` in events are for polls and slices; `isPost` is for all but `EventSource`. */
  | {
      type: 'open'
      attempt: number
      rung: Rung
      wait: number
      limit: number
      padding: number
      isPost: boolean
    }
  | { type: 'close'; attempt: number }
  | { type: 'remember'; rung: Rung }
  | ({ type: 'status' } & Status)

/** A state that is being changed within one step, and what came of it so far. */
export type Draft = {
  readonly state: State
  readonly now: number
  readonly random: () => number
  readonly effects: Effect[]
}
