/** Virtual time: what is due runs in order, at once. */
export class Clock {
  now = 0
  readonly #queue: { at: number; order: number; run: () => void }[] = []
  #order = 0

  at(time: number, run: () => void): void {
    const entry = { at: Math.max(time, this.now), order: this.#order++, run }
    const before = this.#queue.findLastIndex((each) => each.at <= entry.at)
    this.#queue.splice(before + 1, 0, entry)
  }

  after(ms: number, run: () => void): void {
    this.at(this.now + ms, run)
  }

  runUntil(time: number): void {
    for (;;) {
      const next = this.#queue[0]
      if (!next || next.at > time) break
      this.#queue.shift()
      this.now = next.at
      next.run()
    }
    this.now = time
  }
}

/** Random numbers of a seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
