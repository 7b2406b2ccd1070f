/** Lets each key through at most once in a while. */
export class Seldom {
  readonly #everyMs: number
  /** When each was let through, the oldest first; ms, monotonic. */
  readonly #passed = new Map<string, number>()

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  /** Whether it is let through now. */
  admits(key: string): boolean {
    const now = performance.now()
    for (const [each, at] of this.#passed) {
      if (now - at < this.#everyMs) break
      this.#passed.delete(each)
    }
    if (this.#passed.has(key)) return false
    this.#passed.set(key, now)
    return true
  }
}
