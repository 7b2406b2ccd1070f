import { askNow, close, fail, open, pauseUntil, reach } from './attempts.ts'
import { greetingDueAt, silentAt } from './deadlines.ts'
import type { Draft, Failure } from './draft.ts'
import { blame, learnAge, onOverdue, oweEvent } from './evidence.ts'
import { climb, planClimb, settle } from './rung-changes.ts'
import {
  BACK_WITHIN_MS,
  BRIDGE_GRACE_MS,
  CUT_PAUSE_MS,
  EXPECTED_MS,
  FAULTS,
  FIRST_BACKOFF_MS,
  FORGIVEN_MS,
  LATE_MS,
  MANY_FAILURES,
  STABLE_MS,
  VERDICT_MS,
  WITNESS_MS,
} from './timing.ts'

const SLICE_EVENTS = 100
/** For boxes that hold back the first bytes of an answer: sent along when a greeting was missing. */
const PADDING_BYTES = 2_048

export function onStreamHello(draft: Draft, heartbeatMs: number): void {
  const { stream } = draft.state
  stream.heartbeatMs = heartbeatMs
  stream.heardAt = draft.now
  if (stream.phase === 'opening') stream.phase = 'greeted'
}

/** Anything that the server wrote behind the greeting. */
export function onStreamSign(draft: Draft): void {
  const { state, now } = draft
  const { stream } = state
  stream.heardAt = now
  state.doubtAt = undefined
  if (now - stream.since >= FORGIVEN_MS) state.faults = 0
  if (now - (state.suspectedAt ?? now) >= FORGIVEN_MS) state.suspectedAt = undefined
  // A slice is proven by its end alone: what holds streams back passes its bytes then.
  if (stream.phase === 'greeted' && stream.rung !== 'sse-slices') prove(draft)
}

export function onStreamEvent(draft: Draft, id: number, lagMs: number): void {
  const { state, now } = draft
  const { stream } = state
  reach(draft, id)
  // What was stamped before this stream was there is late for that reason.
  const isLate = lagMs > Math.max(LATE_MS, 3 * state.rtt) && lagMs < now - stream.since
  if (isLate) state.suspectedAt = now
  stream.streamed = Math.max(stream.streamed, id)
  if (state.owed && stream.streamed >= state.owed.id) state.owed = undefined
  if (state.witnessAt <= now + EXPECTED_MS) scheduleWitness(draft)
  onStreamSign(draft)
}

/** The server ends the stream, and says when to come again: nobody's fault. */
export function onBye(draft: Draft, reason: string, retryMs: number): void {
  const { state, now } = draft
  close(draft)
  state.reason = reason
  const soon = reason === 'ticket_expired' || reason === 'token_expired' || reason === 'gap'
  pauseUntil(draft, soon ? fail(draft, state.stream.failures++) : now + Math.max(retryMs, 500))
}

/** A whole slice; a stream without a limit that ends without a word was cut. */
export function onStreamEnd(draft: Draft): void {
  const { state, now } = draft
  const { stream } = state
  if (stream.rung !== 'sse-slices' || stream.phase === 'opening') {
    onStreamFailure(draft, { fault: 'broken', reason: 'the stream ended' })
    return
  }
  if (stream.phase === 'greeted') prove(draft)
  state.faults = 0
  stream.since = now
  stream.heardAt = now
  openAttempt(draft)
}

export function onStreamFailure(draft: Draft, { fault, retryAfterMs, reason }: Failure): void {
  const { state, now } = draft
  const { stream } = state
  const age = now - stream.since
  const wasProven = stream.phase === 'proven'
  const hasBrought = stream.streamed > stream.began
  close(draft)
  state.reason = reason
  const isCut = wasProven && stream.rung !== 'sse-slices'
  if (isCut && (age >= STABLE_MS || hasBrought)) {
    // A stream that lived, or brought something before it was cut, is opened again nearly at once.
    if (age >= STABLE_MS) stream.cutAge = age
    // What cuts young streams cuts the next one, too: polls carry at once.
    else stream.lostAt = now - BRIDGE_GRACE_MS
    stream.failures = 0
    pauseUntil(draft, now + CUT_PAUSE_MS * draft.random())
    return
  }
  if (fault !== 'busy' && fault !== 'auth') blame(draft, fault === 'refused' ? FAULTS : 1)
  const until = fail(draft, stream.failures++, retryAfterMs)
  const isGrave = state.faults + (state.pending?.weight ?? 0) >= FAULTS
  pauseUntil(draft, isGrave ? Math.max(until, now + VERDICT_MS) : until)
}

/** The timers of this lane. */
export function runStream(draft: Draft): void {
  const { state, now } = draft
  const { stream } = state
  if (stream.phase === 'resting' && now >= stream.until && state.isVisible) climb(draft)
  if (stream.phase === 'pausing' && now >= stream.until && state.hasCursor) openAttempt(draft)
  if (stream.attempt === 0) return
  if (stream.phase === 'proven') {
    runProven(draft)
  } else if (now >= greetingDueAt(draft.state)) {
    onStreamFailure(draft, { fault: 'late', reason: 'no answer in time' })
    askNow(draft)
  }
}

function runProven(draft: Draft): void {
  const { state, now } = draft
  const { stream, owed } = state
  if (owed && now >= owed.until) onOverdue(draft, owed)
  else if (state.isVisible && now >= state.climbAt) climb(draft)
  else if (now >= stream.since + state.maxAge) {
    close(draft)
    openAttempt(draft)
  } else compare(draft)
}

/** Whether a proven stream is one to rely on. */
function compare(draft: Draft): void {
  const { state, now } = draft
  const { stream } = state
  if (now >= silentAt(state) && state.doubtAt === undefined) {
    state.doubtAt = now
    askNow(draft)
  }
  if (stream.rung !== state.rung && now - stream.provenAt >= STABLE_MS) settle(draft)
  if (now >= state.witnessAt) {
    scheduleWitness(draft)
    askNow(draft)
  }
}

function prove(draft: Draft): void {
  const { state, now } = draft
  const { stream } = state
  if (stream.cutAge > 0 && now - stream.lostAt < BACK_WITHIN_MS) learnAge(draft, stream.cutAge)
  stream.cutAge = 0
  stream.phase = 'proven'
  stream.provenAt = now
  stream.failures = 0
  state.hasWorked = true
  state.isDown = false
  state.pending = undefined
  state.suspectedAt = undefined
  state.witnesses = 0
  if (state.highest > stream.streamed) oweEvent(draft, state.highest)
  scheduleWitness(draft)
  if (stream.rung === state.rung) {
    draft.effects.push({ type: 'remember', rung: state.rung })
    planClimb(draft)
  }
  if (stream.rung === 'sse-slices') stream.since = now
}

function scheduleWitness({ state, now, random }: Draft): void {
  const pause = WITNESS_MS[Math.min(state.witnesses, WITNESS_MS.length - 1)] ?? 0
  state.witnesses += 1
  state.witnessAt = now + pause * (0.75 + random() / 2)
}

function openAttempt(draft: Draft): void {
  const { state, now } = draft
  const { stream } = state
  const isSlices = stream.rung === 'sse-slices'
  const padding = stream.failures % 2 === 1 ? PADDING_BYTES : 0
  stream.attempt = open(draft, stream.rung, { padding, ...(isSlices && { limit: SLICE_EVENTS }) })
  if (!(isSlices && stream.phase === 'proven')) stream.phase = 'opening'
  stream.since = now
  stream.heardAt = now
  stream.streamed = state.highest
  stream.began = state.highest
  state.owed = undefined
}

/** A poll was answered while the stream stayed silent: that one is dead. */
export function judgeSilence(draft: Draft, pollSince: number): void {
  const { state } = draft
  if (state.doubtAt === undefined || state.stream.phase !== 'proven') return
  if (pollSince < state.doubtAt) {
    // That one was asked before the doubt, and says nothing.
    askNow(draft)
    return
  }
  state.doubtAt = undefined
  onStreamFailure(draft, { fault: 'late', reason: 'the stream fell silent' })
}

/** The network is back: a stream that was asked for while it was away is asked for anew, and nobody's fault. */
export function reopenStream(draft: Draft, since: number): void {
  const { state, now } = draft
  const { stream } = state
  if (stream.phase === 'opening' && stream.since < since) close(draft)
  if (stream.phase !== 'pausing') return
  stream.failures = 0
  // Many failures lately: the pause that bounds them stays.
  if (state.failures.length >= MANY_FAILURES) return
  pauseUntil(draft, Math.min(stream.until, now + draft.random() * FIRST_BACKOFF_MS))
}
