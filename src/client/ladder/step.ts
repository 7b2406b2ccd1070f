import { askNow } from './attempts.ts'
import { deadlines } from './deadlines.ts'
import type { Draft, Effect, Input } from './draft.ts'
import { onPollAnswer, onPollFailure, runPolls } from './poll-lane.ts'
import { climbSoon, halt, report, resume } from './rung-changes.ts'
import type { State } from './state.ts'
import {
  onBye,
  onStreamEnd,
  onStreamEvent,
  onStreamFailure,
  onStreamHello,
  onStreamSign,
  runStream,
} from './stream-lane.ts'
import { DRIFT_MS, EXPECTED_MS, NEVER } from './timing.ts'

type FromAttempt = Extract<Input, { attempt: number }>

/**
 * Two lanes: a stream, and polls. Polls carry whenever no stream is there that is proven, stable and above suspicion, and
 * are the witness beside one that is. Invariants, each with its test in `test/ladder.test.ts` or `step.test.ts`:
 * - L1 Whatever the boxes do, every event is delivered once and in order while requests get through now and then.
 * - L2 The first message waits for no probe: where nothing is known polls carry from the first moment.
 * - L3 A stream is relied on only after two writes of the server came apart, and eight seconds of life.
 * - L4 A rung is given up only on evidence that a poll confirmed which began later: not when the network is down.
 * - L5 A stream that holds back what a poll proves is found out, be it by its silence or beside it.
 * - L6 In a steady box the rung changes at most twice a minute.
 * - L7 Failed attempts in any minute are bounded; `Retry-After` is waited for.
 * - L8 After a sleep nothing is concluded from what was late.
 * - L9 A restart of the server sends nobody down the ladder.
 * - L10 Better rungs are tried again after a minute, doubling to an hour, and only while somebody looks.
 * - L11 What is cut at one age is renewed, or asked for less long, before it.
 *
 * The whole connection is one pure function: state × input × time → state + what to do. `now` is in milliseconds of a
 * monotonic clock, `random` gives numbers from 0 to 1. After each step a timer is to be set for `dueAt(state)`.
 */
export function step(state: State, input: Input, now: number, random: () => number): [State, Effect[]] {
  const copy = { ...state, stream: { ...state.stream }, poll: { ...state.poll } }
  const draft: Draft = { state: copy, now, random, effects: [] }
  if (!copy.isHalted && now > dueAt(state) + DRIFT_MS) forgetEvidence(draft)
  take(draft, input)
  if (!copy.isHalted) {
    runStream(draft)
    runPolls(draft)
    // A poll's answer or silence may have freed the other lane.
    runStream(draft)
  }
  report(draft)
  return [copy, draft.effects]
}

/** When the machine wants its next `tick`, if nothing else happens before. */
export function dueAt(state: State): number {
  return state.isHalted ? NEVER : Math.min(...deadlines(state))
}

function take(draft: Draft, input: Input): void {
  const { state, now } = draft
  switch (input.type) {
    case 'tick':
      return
    case 'start':
      state.hasCursor = input.hasCursor
      state.highest = input.highest
      resume(draft)
      return
    case 'halt':
      halt(draft)
      return
    case 'visible':
      state.isVisible = input.visible
      if (input.visible) askNow(draft)
      return
    case 'online':
      climbSoon(draft)
      return
    case 'expect':
      state.witnessAt = Math.min(state.witnessAt, now + EXPECTED_MS)
      return
    default:
      takeFromAttempt(draft, input)
  }
}

/** What comes of an attempt that is not open any more is of no interest. */
function takeFromAttempt(draft: Draft, input: FromAttempt): void {
  const { stream, poll } = draft.state
  if (input.attempt === stream.attempt) takeFromStream(draft, input)
  else if (input.attempt === poll.attempt) {
    if (input.type === 'bytes') poll.heardAt = draft.now
    else if (input.type === 'answered') onPollAnswer(draft, input)
    else if (input.type === 'failed') onPollFailure(draft, input)
  }
}

function takeFromStream(draft: Draft, input: FromAttempt): void {
  if (input.type === 'hello') onStreamHello(draft, input.heartbeatMs)
  else if (input.type === 'sign') onStreamSign(draft)
  else if (input.type === 'bytes') draft.state.stream.heardAt = draft.now
  else if (input.type === 'event') onStreamEvent(draft, input.id, input.lagMs)
  else if (input.type === 'bye') onBye(draft, input.reason, input.retryMs)
  else if (input.type === 'gap') onBye(draft, 'gap', 0)
  else if (input.type === 'ended') onStreamEnd(draft)
  else if (input.type === 'failed') onStreamFailure(draft, input)
}

/** The timers were late: this was asleep or throttled, and knows nothing of what the network did meanwhile. */
function forgetEvidence(draft: Draft): void {
  const { state, now } = draft
  const { stream, poll } = state
  state.pending = undefined
  state.owed = undefined
  state.hasUnconfirmedCut = false
  // What is asked in an open attempt is answered soon if it lives; what is in doubt is looked into by a poll.
  if (stream.phase === 'opening' || stream.phase === 'greeted') stream.since = now
  if (poll.phase === 'asking') {
    draft.effects.push({ type: 'close', attempt: poll.attempt })
    poll.attempt = 0
    poll.phase = 'pausing'
    poll.until = now
  }
  stream.heardAt = now
  state.witnessAt = now
}
