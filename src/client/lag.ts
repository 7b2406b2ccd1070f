/** How late what the server stamped arrives here, beside the quickest so far: clocks may differ, their pace hardly does. */
export class Lag {
  #quickest = Number.POSITIVE_INFINITY
  #last = 0

  /** Milliseconds; 0 until something came. */
  get ms(): number {
    return Math.round(this.#last)
  }

  hear(at: unknown): void {
    const offset = performance.now() - Date.parse(String(at))
    if (Number.isNaN(offset)) return
    this.#quickest = Math.min(this.#quickest, offset)
    this.#last = offset - this.#quickest
  }
}
