/** A millisecond more of difference per ten things heard is put down to clocks that run apart. */
const CREEP_MS = 0.1

/** How late what the server stamped arrives here, beside the quickest so far: clocks may differ, their pace hardly does. */
export class Lag {
  #quickest = Number.POSITIVE_INFINITY
  #last = 0

  /** Of what came last, in milliseconds. */
  get ms(): number {
    return Math.round(this.#last)
  }

  /** What another tab says. */
  told(ms: number): void {
    this.#last = ms
  }

  /** Of this time, in milliseconds: nothing can be said of what was stamped long ago but when it is live. */
  of(at: unknown): number {
    const offset = performance.now() - Date.parse(String(at))
    if (!offset) return 0
    this.#quickest = Math.min(this.#quickest + CREEP_MS, offset)
    this.#last = offset - this.#quickest
    return this.#last
  }
}
