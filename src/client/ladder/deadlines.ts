import { SLICE_MAX_MS } from '../../protocol/constants.ts'
import { isStream } from './rungs.ts'
import type { State } from './state.ts'
import {
  ANSWER_MS,
  ANSWER_ROUND_TRIPS,
  BRIDGE_GRACE_MS,
  LONGEST_ANSWER_MS,
  MINUTE_MS,
  NEVER,
  SECOND_WRITE_MS,
  SILENCE_SLACK_MS,
  STABLE_MS,
} from './timing.ts'

/** The times at which something is to be done if nothing happens before. */
export function deadlines(state: State): number[] {
  return [...streamDeadlines(state), ...pollDeadlines(state)]
}

function streamDeadlines(state: State): number[] {
  const { stream } = state
  switch (stream.phase) {
    case 'resting':
      return state.isVisible ? [stream.until] : []
    case 'pausing':
      return state.hasCursor ? [stream.until] : []
    case 'opening':
    case 'greeted':
      return [greetingDueAt(state)]
    case 'proven':
      return [
        state.owed?.until ?? NEVER,
        state.isVisible ? state.climbAt : NEVER,
        stream.since + state.maxAge,
        state.doubtAt === undefined ? silentAt(state) : NEVER,
        state.witnessAt,
        stream.rung === state.rung ? NEVER : settlesAt(state),
      ]
  }
}

/** When a stream that was tried may carry: once it is stable, and the last change of rung is a minute old. */
function settlesAt({ stream, changedAt }: State): number {
  return Math.max(stream.provenAt + STABLE_MS, changedAt + MINUTE_MS)
}

function pollDeadlines(state: State): number[] {
  const { poll } = state
  if (poll.phase === 'asking') return [pollDueAt(state)]
  return [poll.phase === 'pausing' ? poll.until : pollsFrom(state)]
}

/** How long a small answer may take here. */
function answerMs({ rtt }: State): number {
  return Math.min(LONGEST_ANSWER_MS, Math.max(ANSWER_MS, ANSWER_ROUND_TRIPS * rtt))
}

/** When an attempt that is not yet proven has failed. Bytes that still arrive buy it time. */
export function greetingDueAt(state: State): number {
  const { stream } = state
  const limit = answerMs(state)
  if (stream.rung === 'sse-slices') return stream.since + SLICE_MAX_MS + limit
  if (stream.phase === 'greeted') return stream.heardAt + Math.max(SECOND_WRITE_MS, 2 * state.rtt)
  return Math.min(Math.max(stream.since, stream.heardAt) + limit, stream.since + 3 * limit)
}

/** When a proven stream has been silent for too long. */
export function silentAt(state: State): number {
  const { stream } = state
  if (stream.rung === 'sse-slices') return stream.since + SLICE_MAX_MS + answerMs(state)
  return stream.heardAt + stream.heartbeatMs + Math.max(SILENCE_SLACK_MS, 2 * state.rtt)
}

/** Whether polls carry just now, alone or in place of a stream that is not there or not yet trusted. */
export function wantsPolls({ stream, rung, faults, suspectedAt }: State): boolean {
  return stream.phase !== 'proven' || stream.rung !== rung || faults > 0 || suspectedAt !== undefined
}

/** From when on polls are to be asked; a stream that is only opened again gets a moment. */
export function pollsFrom(state: State): number {
  const { stream, rung } = state
  if (!wantsPolls(state)) return NEVER
  const isOnlyReopened = isStream(rung) && stream.rung === rung && state.faults === 0 && !state.pending
  return isOnlyReopened && state.hasCursor && stream.phase !== 'proven' && stream.phase !== 'resting'
    ? stream.lostAt + BRIDGE_GRACE_MS
    : -NEVER
}

/** When the question that is out has failed. Bytes that still arrive buy it time. */
export function pollDueAt(state: State): number {
  const { poll } = state
  const waited = poll.since + poll.wait * 1_000
  return Math.max(waited, poll.heardAt) + answerMs(state)
}
