import { close } from './attempts.ts'
import type { Draft, Status } from './draft.ts'
import { isStream, type Rung, type StreamRung } from './rungs.ts'
import type { State } from './state.ts'
import {
  FIRST_PROBE_MS,
  LONG_LIFE_MS,
  LONGEST_PROBE_MS,
  LONGEST_WAIT_SECONDS,
  MINUTE_MS,
  NEVER,
} from './timing.ts'

/** The rung that carries is another one from now on. */
export function changeRung({ state, now, effects }: Draft, rung: Rung): void {
  if (state.rung === rung) return
  state.rung = rung
  state.changedAt = now
  effects.push({ type: 'remember', rung })
}

/** A stream that was tried has lived: it carries from now on, unless the rung has changed just before. */
export function settle(draft: Draft): void {
  const { state, now } = draft
  // One change up and at worst one down again: more there are not in a minute.
  if (now < state.changedAt + MINUTE_MS) return
  changeRung(draft, state.stream.rung)
  planClimb(draft)
}

/** Better rungs than the one that carries are tried again some day. */
export function planClimb(draft: Draft): void {
  const { state } = draft
  if (state.rung !== best(state) && state.climbAt === NEVER) state.climbAt = nextClimbAt(draft)
}

/** The rung being tried or used is unfit: polls carry, and the next lower stream is tried beside them. */
export function giveUpRung(draft: Draft): void {
  const { state, now } = draft
  const { stream } = state
  close(draft)
  state.faults = 0
  state.pending = undefined
  state.cutAges = []
  state.maxAge = NEVER
  if (state.rung === stream.rung) {
    if (now - state.changedAt > LONG_LIFE_MS) state.climbs = 0
    changeRung(draft, pollRung(state))
  }
  const next = streamsOf(state)[streamsOf(state).indexOf(stream.rung) + 1]
  stream.failures = 0
  if (next) {
    stream.rung = next
    stream.until = now
  } else rest(draft)
}

/** Tries the streams from the best on, polls carrying meanwhile; also whether long-polls may wait longer again. */
export function climb(draft: Draft): void {
  const { state, now } = draft
  const { stream } = state
  if (stream.attempt > 0) close(draft)
  state.climbAt = NEVER
  if (state.rungs.includes('long-poll')) state.wait = LONGEST_WAIT_SECONDS
  state.faults = 0
  state.maxAge = NEVER
  const top = best(state)
  if (!top) {
    rest(draft)
    return
  }
  stream.rung = top
  stream.phase = 'pausing'
  stream.failures = 0
  stream.until = now
}

/** The network may be another one: what failed may work, and nothing is waited for that was not asked for. */
export function climbSoon(draft: Draft): void {
  const { state, now, random } = draft
  const { stream, poll } = state
  state.climbs = 0
  const soon = Math.max(now + random() * 2_000, state.notBefore)
  if (stream.phase === 'resting') stream.until = soon
  else if (stream.phase === 'proven') {
    state.witnessAt = now
    if (stream.rung !== best(state)) state.climbAt = Math.min(state.climbAt, soon)
  } else if (stream.phase === 'pausing') stream.until = Math.min(stream.until, soon)
  if (poll.phase === 'pausing')
    poll.until = Math.min(poll.until, Math.max(now + random() * 500, state.notBefore))
}

function rest(draft: Draft): void {
  const { state } = draft
  state.stream.phase = 'resting'
  state.stream.until = nextClimbAt(draft)
}

/** After a minute, doubling to an hour, jittered. */
function nextClimbAt({ state, now, random }: Draft): number {
  const pause = Math.min(LONGEST_PROBE_MS, FIRST_PROBE_MS * 2 ** state.climbs)
  state.climbs += 1
  return now + pause * (0.75 + random() / 2)
}

export function resume(draft: Draft): void {
  const { state, now } = draft
  state.isHalted = false
  state.stream.lostAt = now
  state.stream.until = now
  if (streamsOf(state).length === 0 || state.stream.phase === 'resting') rest(draft)
}

/** Closes everything; what was learned of the network stays. */
export function halt(draft: Draft): void {
  const { state, effects } = draft
  const { poll, stream } = state
  if (stream.phase !== 'resting') close(draft)
  if (poll.attempt > 0) effects.push({ type: 'close', attempt: poll.attempt })
  poll.attempt = 0
  poll.phase = 'idle'
  poll.failures = 0
  state.pending = undefined
  state.isHalted = true
}

/** Says how it stands, if that is something new. */
export function report({ state, effects }: Draft): void {
  const status: Status = { state: stateOf(state), transport: state.rung, reason: state.reason }
  const text = `${status.state} ${status.transport}`
  if (state.isHalted || text === state.reported) return
  state.reported = text
  effects.push({ type: 'status', ...status })
}

function stateOf({ hasWorked, isDown }: State): Status['state'] {
  if (isDown) return 'offline'
  return hasWorked ? 'live' : 'connecting'
}

function streamsOf({ rungs }: State): StreamRung[] {
  return rungs.filter(isStream)
}

function best(state: State): StreamRung | undefined {
  return streamsOf(state)[0]
}

function pollRung({ wait }: State): Rung {
  return wait > 0 ? 'long-poll' : 'poll'
}
