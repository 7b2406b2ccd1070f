/** Lets each key through at most once in a while, and at most so many of them. */
export class Seldom {
  readonly #everyMs: number
  readonly #max: number
  /** When each was let through, the oldest first; ms, monotonic. */
  readonly #passed = new Map<string, number>()

  constructor(everyMs: number, max = Number.POSITIVE_INFINITY) {
    this.#everyMs = everyMs
    this.#max = max
  }

  /** Whether it is let through now. */
  admits(key: string): boolean {
    const now = performance.now()
    for (const [each, at] of this.#passed) {
      if (now - at < this.#everyMs) break
      this.#passed.delete(each)
    }
    if (this.#passed.has(key) || this.#passed.size >= this.#max) return false
    this.#passed.set(key, now)
    return true
  }
}
