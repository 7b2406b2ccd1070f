/** What a simulated middlebox does to ordinary HTTP. Durations in milliseconds. */
export type Box = {
  /** One way. */
  latency: number
  /** Keeps streams of these forms back until they end. */
  holds: readonly Form[]
  /** Lets the greeting through and then holds back. */
  holdsLater: boolean
  /** Shows a write only when the next one comes. */
  isOneBehind: boolean
  /** Answers these forms itself with 403, or a page of HTML. */
  refuses: readonly Form[]
  /** Answers every GET itself, with 403. */
  refusesGets: boolean
  /** Ends every answer at this age, with a reset. */
  cutAge: number
  /** Forgets a flow after so much silence: nothing passes any more, and nobody is told. */
  idleDrop: number
  /** Cuts an answer at any byte, with this probability per write. */
  cutChance: number
  /** Answers a request with nonsense, with this probability. */
  nonsense: number
  /** Swallows a request, with this probability. */
  swallows: number
}

export type Form = 'sse' | 'octet' | 'poll'

export type Random = () => number

const NEVER = Number.POSITIVE_INFINITY
export const CLEAN: Box = {
  latency: 20,
  holds: [],
  holdsLater: false,
  isOneBehind: false,
  refuses: [],
  refusesGets: false,
  cutAge: NEVER,
  idleDrop: NEVER,
  cutChance: 0,
  nonsense: 0,
  swallows: 0,
}

/** A box as they come: most do one or two of these things. All let a long-poll of 25 s through. */
export function anyBox(random: Random): Box {
  const maybe = <T>(chance: number, bad: T, good: T): T => (random() < chance ? bad : good)
  const streams: Form[][] = [['sse'], ['sse', 'octet']]
  const some = () => streams[Math.floor(random() * 2)] ?? []
  return {
    latency: 5 + random() ** 3 * 400,
    holds: maybe(0.4, some(), []),
    holdsLater: random() < 0.15,
    isOneBehind: random() < 0.15,
    refuses: maybe(0.2, some(), []),
    refusesGets: random() < 0.1,
    cutAge: maybe(0.4, 26_000 + random() * 60_000, NEVER),
    idleDrop: maybe(0.3, 26_000 + random() * 10_000, NEVER),
    cutChance: maybe(0.2, random() * 0.05, 0),
    nonsense: maybe(0.2, random() * 0.1, 0),
    swallows: maybe(0.2, random() * 0.05, 0),
  }
}
