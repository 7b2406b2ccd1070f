/** Since when a planner has lost events, for want of room or of an answer: they are to be found in the database. Monotonic ms. */
export class Losses {
  /** Of the oldest that was not taken. */
  since = Number.POSITIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY

  add(at: number): void {
    this.since = Math.min(this.since, at)
    this.#last = Math.max(this.#last, at)
  }

  /** For how long, once `settledMs` have gone by: what was lost just now may not be in the database yet, and is left for the next time. */
  take(settledMs: number): { sinceMs: number } | undefined {
    const now = performance.now()
    if (this.since > now - settledMs) return undefined
    const sinceMs = now - this.since
    this.since = this.#last > now - settledMs ? this.#last : Number.POSITIVE_INFINITY
    return { sinceMs }
  }
}
