const SPAN_MS = 1_000
/** A burst takes two spans at most. */
const SPANS = 4

/** What comes all the time, as opposed to what comes at once: the second lowest of the last four seconds. */
export class SteadyRate {
  /** How many came in each of the last spans, the newest last. */
  readonly #counts: number[] = new Array(SPANS).fill(0)
  #since = performance.now()
  #count = 0

  add(count: number): void {
    this.#advance()
    this.#count += count
  }

  /** A second. One in which nothing came, as a disk had stalled, makes it no lower. */
  get perSecond(): number {
    this.#advance()
    const [, second = 0] = this.#counts.toSorted((a, b) => a - b)
    return (second * 1_000) / SPAN_MS
  }

  #advance(): void {
    const passed = Math.floor((performance.now() - this.#since) / SPAN_MS)
    if (passed === 0) return
    this.#since += passed * SPAN_MS
    const empty = new Array(Math.min(passed - 1, SPANS)).fill(0)
    this.#counts.splice(0, 1 + empty.length)
    this.#counts.push(this.#count, ...empty)
    this.#counts.splice(0, this.#counts.length - SPANS)
    this.#count = 0
  }
}
