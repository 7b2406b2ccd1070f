import { close, fail, pauseUntil } from './attempts.ts'
import type { Draft } from './draft.ts'
import { giveUpRung } from './rung-changes.ts'
import {
  FAULTS,
  FLOWING_MS,
  LONGEST_OWED_MS,
  OWED_MS,
  SAME_AGE,
  SAME_AGE_MS,
  SHORTEST_AGE_MS,
} from './timing.ts'

/** Suspects the rung. It counts when a poll that began later shows that the network is there. */
export function blame({ state, now }: Draft, weight: number): void {
  // The polls fail too: it is the network, not the rung.
  if (state.poll.failures > 0) return
  // Several that one poll confirms count as one: the network may have been away between two polls.
  state.pending = { weight: Math.max(weight, state.pending?.weight ?? 0), at: state.pending?.at ?? now }
}

/** The network is there: what was suspected of the rung holds. */
export function confirmFaults(draft: Draft, pollSince: number): void {
  const { state } = draft
  if (!state.pending || pollSince < state.pending.at) return
  state.faults += state.pending.weight
  state.pending = undefined
  if (state.faults >= FAULTS) giveUpRung(draft)
}

/** Polls and the stream beside them, compared: what a poll proved the stream must bring soon. */
export function oweEvent({ state, now }: Draft, id: number): void {
  const { stream } = state
  if (stream.phase !== 'proven' || stream.streamed >= id || state.owed) return
  state.owed = { id, since: now, until: now + Math.max(OWED_MS, 2 * state.rtt) }
}

export function onOverdue(draft: Draft, owed: { id: number; until: number; since: number }): void {
  const { state, now } = draft
  const isFlowing = now - state.stream.heardAt < FLOWING_MS && now - owed.since < LONGEST_OWED_MS
  if (isFlowing) {
    state.owed = { ...owed, until: now + FLOWING_MS }
    return
  }
  close(draft)
  state.reason = 'events are held back'
  // The poll that proved the event is the confirmation.
  state.faults += 1
  if (state.faults >= FAULTS) giveUpRung(draft)
  else pauseUntil(draft, fail(draft, state.stream.failures++))
}

/** Three cuts at one age are a time-out on the way: from then on the stream is renewed before it. */
export function learnAge({ state }: Draft, age: number): void {
  const [before, last] = state.cutAges
  if (before !== undefined && last !== undefined && isSameAge(before, age) && isSameAge(last, age)) {
    const soonest = Math.min(before, last, age)
    state.maxAge = Math.max(SHORTEST_AGE_MS, soonest - Math.max(SAME_AGE_MS, soonest * SAME_AGE))
  }
  state.cutAges = [...state.cutAges.slice(-1), age]
}

export function isSameAge(one: number, other: number): boolean {
  return Math.abs(one - other) <= Math.max(SAME_AGE_MS, SAME_AGE * Math.max(one, other))
}
