import { fail, open, reach } from './attempts.ts'
import { pollDueAt, pollsFrom, wantsPolls } from './deadlines.ts'
import type { Draft, Failure } from './draft.ts'
import { confirmFaults, isSameAge, oweEvent } from './evidence.ts'
import { changeRung } from './rung-changes.ts'
import { isStream } from './rungs.ts'
import type { State } from './state.ts'
import { judgeSilence, reopenStream } from './stream-lane.ts'
import {
  BRIDGE_WAIT_SECONDS,
  FIRST_BACKOFF_MS,
  MOST_EVENTS,
  POLL_GAP_MS,
  POLL_PAUSE_MS,
  SAME_AGE_MS,
  SHORTEST_CUT_MS,
  SHORTEST_WAIT_SECONDS,
  SLOWEST_RTT_MS,
} from './timing.ts'

type Answered = { highest: number; events: number; hasMore: boolean }

export function runPolls(draft: Draft): void {
  const { state, now } = draft
  const { poll } = state
  if (poll.phase === 'idle' && now >= pollsFrom(state)) {
    poll.phase = 'pausing'
    poll.until = now
  }
  if (poll.phase === 'pausing' && now >= poll.until) ask(draft)
  if (poll.phase === 'asking' && now >= pollDueAt(state)) {
    const { attempt } = poll
    onPollFailure(draft, { fault: 'late', reason: 'no answer in time' })
    draft.effects.push({ type: 'close', attempt })
  }
}

function ask(draft: Draft): void {
  const { state, now } = draft
  const { poll } = state
  poll.wait = nextWait(state)
  poll.phase = 'asking'
  poll.since = now
  poll.heardAt = now
  const rung = poll.wait > 0 ? 'long-poll' : 'poll'
  poll.attempt = open(draft, rung, { wait: poll.wait, limit: state.limit })
}

/** Seconds. After a failure, in doubt, and before anything worked, an answer is wanted at once. */
function nextWait(state: State): number {
  const { poll, stream } = state
  if (poll.failures > 0 || state.pending || state.doubtAt !== undefined || !state.hasWorked) return 0
  if (state.hasUnconfirmedCut || !wantsPolls(state)) return 0
  return stream.phase === 'resting' ? state.wait : Math.min(state.wait, BRIDGE_WAIT_SECONDS)
}

export function onPollAnswer(draft: Draft, { highest, events, hasMore }: Answered): void {
  const { state, now } = draft
  const { poll } = state
  const tookMs = now - poll.since
  if (poll.wait === 0) state.rtt += (tookMs - state.rtt) * 0.3
  poll.attempt = 0
  state.limit = Math.min(MOST_EVENTS, Math.ceil(state.limit * 1.25))
  if (poll.failures > 0) reopenStream(draft, poll.since)
  poll.failures = 0
  poll.phase = 'idle'
  state.isDown = false
  state.hasWorked = true
  state.hasCursor = true
  reach(draft, highest)
  if (poll.wait === 0) confirmCut(draft)
  else if (events > 0 || tookMs >= poll.wait * 1_000 - 500) trustWait(draft, tookMs)
  confirmFaults(draft, poll.since)
  judgeSilence(draft, poll.since)
  oweEvent(draft, state.highest)
  if (wantsPolls(state)) {
    poll.phase = 'pausing'
    poll.until = now + pauseAfter(state, { tookMs, hasMore, wasEmpty: events === 0 })
  }
}

/** A pace for polls: none while there is more to read, a breath where answers come at once. */
function pauseAfter(
  { poll, stream, wait, isVisible, activeAt }: State,
  { tookMs, hasMore, wasEmpty }: { tookMs: number; hasMore: boolean; wasEmpty: boolean },
): number {
  if (hasMore) return 0
  if (wait > 0) {
    const cameEmptyTooSoon = wasEmpty && poll.wait > 0 && tookMs < poll.wait * 1_000 - 500
    return cameEmptyTooSoon ? 1_000 : Math.max(0, POLL_GAP_MS - (poll.wait > 0 ? tookMs : POLL_GAP_MS))
  }
  if (stream.phase !== 'resting') return POLL_PAUSE_MS
  const isQuiet = poll.since - activeAt > 60_000
  return POLL_PAUSE_MS * (isVisible ? 1 : 2) * (isQuiet ? 2 : 1)
}

export function onPollFailure(draft: Draft, { fault, retryAfterMs, reason }: Failure): void {
  const { state, now } = draft
  const { poll } = state
  const age = now - poll.since
  poll.attempt = 0
  poll.phase = 'pausing'
  // When polls fail too it is the network: nothing is held against the stream.
  state.pending = undefined
  state.owed = undefined
  const wasPatient = poll.wait >= SHORTEST_WAIT_SECONDS && fault !== 'busy' && fault !== 'auth'
  if (wasPatient && state.wait > 0) {
    state.hasUnconfirmedCut = true
    // Nothing times out so soon: that was no cut of the wait.
    const isOdd = fault === 'broken' && age < SHORTEST_CUT_MS
    // What hung says nothing about when it died: half the wait is tried next.
    if (!isOdd)
      state.pollCuts = [...state.pollCuts.slice(-2), fault === 'late' ? (poll.wait * 1_000) / 2 : age]
  } else if (fault === 'late') state.rtt = Math.min(state.rtt * 2, SLOWEST_RTT_MS)
  if (!wasPatient) {
    state.hasUnconfirmedCut = false
    // New credentials, or a POST, may mend it at once.
    const hasRemedy = poll.failures === 0 && (fault === 'auth' || fault === 'refused')
    state.isDown = state.stream.phase !== 'proven' && !hasRemedy
    // Where a box drops the query the server waits as long as it likes.
    if (fault === 'refused' || fault === 'late') state.isPosting = !state.isPosting
    state.reason = reason
  }
  state.limit = Math.max(1, Math.floor(state.limit / 4))
  // An answer that was cut midway shows that the network is there.
  const until = fail(draft, poll.heardAt > poll.since ? 0 : poll.failures, retryAfterMs)
  poll.failures += 1
  // Waiting in vain was pause enough.
  poll.until = fault === 'late' ? Math.max(now + draft.random() * FIRST_BACKOFF_MS, until - age) : until
}

/** The network is there: the long-poll before was cut for itself. Cuts at one age, or three, shorten the wait. */
function confirmCut(draft: Draft): void {
  const { state } = draft
  if (!state.hasUnconfirmedCut) return
  state.hasUnconfirmedCut = false
  const [last = 0, before, first] = state.pollCuts.toReversed()
  const isTimeOut = before !== undefined && isSameAge(before, last) && last >= SAME_AGE_MS
  if (before === undefined || (first === undefined && !isTimeOut)) return
  const wait = Math.min(state.wait - 1, Math.floor((Math.min(before, last) * 0.8) / 1_000))
  state.pollCuts = []
  state.wait = wait >= SHORTEST_WAIT_SECONDS ? wait : 0
  if (state.wait === 0 && !isStream(state.rung)) changeRung(draft, 'poll')
}

function trustWait(draft: Draft, tookMs: number): void {
  const { state } = draft
  state.pollCuts = []
  if (state.rung === 'poll' && tookMs >= SHORTEST_WAIT_SECONDS * 1_000) changeRung(draft, 'long-poll')
}
