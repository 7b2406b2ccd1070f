import type { Draft } from './draft.ts'
import type { Rung } from './rungs.ts'
import {
  FIRST_BACKOFF_MS,
  LONGEST_BACKOFF_MS,
  MANY_FAILURES,
  MINUTE_MS,
  MOST_EVENTS,
  PACE_MS,
} from './timing.ts'

/** Opens an attempt and returns its number. */
export function open(
  draft: Draft,
  rung: Rung,
  more: { wait?: number; limit?: number; padding?: number },
): number {
  const { state, effects } = draft
  const attempt = ++state.attempts
  const { isPosting: isPost } = state
  effects.push({ type: 'open', attempt, rung, wait: 0, limit: MOST_EVENTS, padding: 0, isPost, ...more })
  return attempt
}

/** Notes a failed attempt. Returns when the next may be made: full jitter, or what the server asked for and a little. */
export function fail(draft: Draft, failuresInARow: number, retryAfterMs = 0): number {
  const { state, now, random } = draft
  state.failures = [...state.failures.filter((at) => at > now - MINUTE_MS), now]
  if (retryAfterMs > 0) state.notBefore = now + retryAfterMs
  const ceiling = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** failuresInARow)
  const pause = retryAfterMs > 0 ? retryAfterMs + random() * FIRST_BACKOFF_MS : 50 + random() * ceiling
  const pace = state.failures.length < MANY_FAILURES ? 0 : PACE_MS * (0.75 + random() / 2)
  return now + Math.max(pause, pace)
}

/** The last event that anything proved. What brings new ones is worth asking, however often it is cut. */
export function reach({ state, now }: Draft, id: number): void {
  if (id <= state.highest) return
  state.highest = id
  state.activeAt = now
  state.failures = []
}

/** Leaves whatever attempt is open. */
export function close(draft: Draft): void {
  const { state, now } = draft
  const { stream } = state
  if (stream.attempt > 0) draft.effects.push({ type: 'close', attempt: stream.attempt })
  if (stream.phase === 'proven') stream.lostAt = now
  stream.attempt = 0
  stream.phase = 'pausing'
  state.owed = undefined
  state.doubtAt = undefined
}

export function pauseUntil({ state }: Draft, until: number): void {
  if (state.stream.phase !== 'resting') state.stream.phase = 'pausing'
  state.stream.until = until
}

/** A poll without a wait as soon as may be: to see what is there, or whether the network is. */
export function askNow({ state, now }: Draft): void {
  const { poll } = state
  if (poll.phase === 'asking') return
  // Pauses that failures or the server called for are kept.
  if (poll.failures > 0) return
  poll.phase = 'pausing'
  poll.until = now
}
