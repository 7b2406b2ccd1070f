import { isStream, type Rung, type StreamRung } from './rungs.ts'
import { FIRST_RTT_MS, LONGEST_WAIT_SECONDS, MOST_EVENTS, NEVER } from './timing.ts'

/**
 * What the stream lane does.
 * - `resting`: no stream is tried until `until`: polls carry.
 * - `pausing`: one is opened at `until`.
 * - `opening`: asked for; nothing was heard of it yet.
 * - `greeted`: its `hello` came, but that may be all that a box lets through: what the server wrote next is missing.
 * - `proven`: two writes of the server came apart and in time.
 */
type StreamPhase = 'resting' | 'pausing' | 'opening' | 'greeted' | 'proven'

type StreamLane = {
  phase: StreamPhase
  rung: StreamRung
  /** Number of the attempt that is open; 0 while none is. */
  attempt: number
  /** When the phases resting and pausing end. */
  until: number
  /** When the attempt was opened. */
  since: number
  /** When it was proven. */
  provenAt: number
  /** When anything was last heard of it. */
  heardAt: number
  heartbeatMs: number
  /** The highest event id that it brought, or began behind. */
  streamed: number
  /** The age at which the last one was cut, until it shows that this was no outage. */
  cutAge: number
  /** The event that it began behind. */
  began: number
  /** Since when no stream has been proven. */
  lostAt: number
  /** Failures in a row, for the back-off. */
  failures: number
}

/** What the poll lane does: nothing, until `until` nothing, or there is a question out. */
type PollLane = {
  phase: 'idle' | 'pausing' | 'asking'
  attempt: number
  until: number
  since: number
  heardAt: number
  /** Seconds that the question out may wait. */
  wait: number
  failures: number
}

/** All that is known of a connection. Times: milliseconds of one monotonic clock. */
export type State = {
  /** What this runtime can do, best first. */
  readonly rungs: readonly Rung[]
  /** The rung that carries: changed by evidence alone, not while a stream is merely opened again. */
  rung: Rung
  stream: StreamLane
  poll: PollLane
  isHalted: boolean
  isVisible: boolean
  /** Whether there is a cursor to open a stream from. */
  hasCursor: boolean
  /** Whether anything ever worked. */
  hasWorked: boolean
  /** Nothing works just now. */
  isDown: boolean
  rtt: number
  /** Confirmed faults of the stream rung being tried or used. */
  faults: number
  /** Faults that no poll has confirmed yet, and when the first was seen. */
  pending?: { weight: number; at: number } | undefined
  /** Since when events of the stream come late: polls are asked beside it to see whether they do. */
  suspectedAt?: number | undefined
  /** The last GET was answered by a box or not at all: what can be is asked by POST, until the same becomes of that. */
  isPosting: boolean
  /** Until then the server, or something on the way, asked to be left alone. */
  notBefore: number
  /** Events that polls ask for. */
  limit: number
  /** A poll proved this event, and the stream has until then to bring it. */
  owed?: { id: number; until: number; since: number } | undefined
  /** The highest event id that anything brought. */
  highest: number
  /** The stream missed a heartbeat: since when that is being looked into. */
  doubtAt?: number | undefined
  witnessAt: number
  witnesses: number
  /** Ages at which proven streams were cut, and before which they are therefore renewed. */
  cutAges: number[]
  maxAge: number
  /** Seconds that long-polls wait: learned from cuts. 0: they do not get through at all. */
  wait: number
  /** Ages at which long-polls were cut; the last is unconfirmed while `unconfirmedCut`. */
  pollCuts: number[]
  hasUnconfirmedCut: boolean
  /** When the last event came, for the pace of polls. */
  activeAt: number
  /** When the rung last changed. */
  changedAt: number
  /** How many climbs were in vain in a row. */
  climbs: number
  /** When better rungs are tried while a lesser stream carries. */
  climbAt: number
  /** When attempts failed, within the last minute. */
  failures: number[]
  attempts: number
  reason: string
  reported: string
}

export type Options = {
  /** What this runtime can do, best first. */
  rungs: readonly Rung[]
  /** What last worked here, less than a day ago. */
  remembered?: Rung | undefined
  hasCursor: boolean
  isVisible: boolean
  isPosting?: boolean
}

/** Before the input `start`. */
export function initialState({ rungs, remembered, hasCursor, isVisible, isPosting = false }: Options): State {
  const streams = rungs.filter(isStream)
  const known = remembered && rungs.includes(remembered) ? remembered : undefined
  const rung = known ?? (rungs.includes('long-poll') ? 'long-poll' : 'poll')
  const lane = { attempt: 0, until: 0, since: 0, heardAt: 0, failures: 0 }
  return {
    rungs,
    rung,
    stream: {
      ...lane,
      phase: known && !isStream(known) ? 'resting' : 'pausing',
      rung: isStream(rung) ? rung : (streams[0] ?? 'sse'),
      heartbeatMs: 0,
      provenAt: 0,
      streamed: 0,
      cutAge: 0,
      began: 0,
      lostAt: 0,
    },
    poll: { ...lane, phase: 'idle', wait: 0 },
    isHalted: true,
    isVisible,
    hasCursor,
    hasWorked: false,
    isDown: false,
    rtt: FIRST_RTT_MS,
    faults: 0,
    isPosting,
    notBefore: -NEVER,
    limit: MOST_EVENTS,
    highest: 0,
    witnessAt: NEVER,
    witnesses: 0,
    cutAges: [],
    maxAge: NEVER,
    wait: rung === 'poll' ? 0 : LONGEST_WAIT_SECONDS,
    pollCuts: [],
    hasUnconfirmedCut: false,
    activeAt: -NEVER,
    changedAt: -NEVER,
    climbs: 0,
    climbAt: NEVER,
    failures: [],
    attempts: 0,
    reason: '',
    reported: '',
  }
}
