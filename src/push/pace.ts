/** Sends under way for each core up to which nobody waits for long; with twice as many, pushes take four times as long. */
const CALM_SENDS = 6
/** However many sends there are, pushes come to an end: at a sixteenth of their pace. A disk that stalls counts no more than that. */
const MAX_LOAD = 4
/** Pushes a second of a core while it is calm. */
const PER_CORE = 1_250
/** So many at once are worth a query. */
const MIN_AT_ONCE = 16
/** What was not used for so long is lost. */
const SAVED_MS = 250
/** Beside many sends nothing is done for up to this many times as long as a piece of work took, but not for long. */
const MAX_RESTS = 3
const MAX_REST_MS = 100
/** What is later than that has no rests: where sends never become fewer, work has to keep up with them. */
const MAX_LATE_MS = 10_000
/** One moment says little: over so long the sends under way are averaged. */
const AVERAGE_MS = 1_000

/**
 * How fast pushes go, so that ten thousand that are due at once do not slow down who sends: a node where many sends are under way
 * has either many of them or is slow at them, and both are reasons to take its time.
 */
export class Pace {
  readonly #sendsUnderWay: () => number
  readonly #cores: number
  #lookedAt = performance.now()
  #load = 0
  #roomAt = performance.now()
  #room = 0

  /** `cores`: of how many this node may take as its own. */
  constructor(sendsUnderWay: () => number, cores: number) {
    this.#sendsUnderWay = sendsUnderWay
    this.#cores = cores
  }

  /** How many times as long as usual is to be taken: 1 to 16. */
  slowness(): number {
    const passed = performance.now() - this.#lookedAt
    this.#lookedAt += passed
    const load = Math.min(this.#sendsUnderWay() / (this.#cores * CALM_SENDS), MAX_LOAD)
    this.#load += (load - this.#load) * Math.min(passed / AVERAGE_MS, 1)
    return Math.max(this.#load, 1) ** 2
  }

  /** For how many ms to do nothing behind work that took so long and was so late. */
  restMs(tookMs: number, lateMs: number): number {
    const rests = Math.min(this.slowness() - 1, MAX_RESTS)
    const share = Math.min(Math.max(1 - lateMs / MAX_LATE_MS, 0), 1)
    return Math.min(tookMs * rests, MAX_REST_MS) * share
  }

  /** How many pushes may begin now; 0 until there is room for some. */
  room(): number {
    const passed = performance.now() - this.#roomAt
    this.#roomAt += passed
    const perMs = (PER_CORE * this.#cores) / this.slowness() / 1_000
    this.#room = Math.min(this.#room + passed * perMs, Math.max(SAVED_MS * perMs, MIN_AT_ONCE))
    return this.#room < MIN_AT_ONCE ? 0 : Math.floor(this.#room)
  }

  /** So many have begun. */
  spend(count: number): void {
    this.#room -= count
  }
}
