import { SteadyRate } from './steady-rate.ts'

/** Sends under way for each core up to which nobody waits for long; with twice as many, pushes take four times as long. */
const CALM_SENDS = 6
/** However many sends there are, pushes come to an end: at a sixteenth of their pace. A disk that stalls counts no more than that. */
const MAX_LOAD = 4
/** Pushes a second of a core while it is calm. */
const PER_CORE = 1_250
/**
 * What comes all the time has to be kept up with, and more than that, to make up for lost time; but only up to so many times what goes
 * while it is calm. To judge somebody costs a fraction of a push, and most of them may be there.
 */
const PUSHING = { keepUp: 1.5, max: 1 / 2 }
const JUDGING = { keepUp: 3, max: 2 }
/** One moment says little: over so long the sends under way are averaged. */
const AVERAGE_MS = 1_000

/**
 * How fast pushes go, so that ten thousand that are due at once do not slow down who sends: a node where many sends are under way
 * has either many of them or is slow at them, and both are reasons to take its time. What comes all the time is no such heap:
 * put off, it would only come later and later.
 */
export class Pace {
  readonly #sendsUnderWay: () => number
  readonly #calmPerSecond: number
  readonly #calmSends: number
  readonly #arriving = new SteadyRate()
  #lookedAt = performance.now()
  #load = 0

  /** `cores`: of how many this node may take as its own. */
  constructor(sendsUnderWay: () => number, cores: number) {
    this.#sendsUnderWay = sendsUnderWay
    this.#calmPerSecond = cores * PER_CORE
    this.#calmSends = cores * CALM_SENDS
  }

  /** One more person may have to be pushed to, soon. */
  arrived(): void {
    this.#arriving.add(1)
  }

  /** How many pushes a second may begin just now. */
  get pushesPerSecond(): number {
    return this.#perSecond(PUSHING)
  }

  /** Of how many people a second may be decided just now whether they are to be pushed to. */
  get judgedPerSecond(): number {
    return this.#perSecond(JUDGING)
  }

  #perSecond({ keepUp, max }: typeof PUSHING): number {
    const passed = performance.now() - this.#lookedAt
    this.#lookedAt += passed
    const load = Math.min(this.#sendsUnderWay() / this.#calmSends, MAX_LOAD)
    this.#load += (load - this.#load) * Math.min(passed / AVERAGE_MS, 1)
    const steady = Math.min(this.#arriving.perSecond * keepUp, this.#calmPerSecond * max)
    return Math.max(this.#calmPerSecond / Math.max(this.#load, 1) ** 2, steady)
  }
}
