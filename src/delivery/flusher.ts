export type Flushable = { flush(): void }

/** Collects who has something to write and lets them write once, at the end of the tick: no timer, one write each. */
export class Flusher {
  #dirty: Flushable[] = []

  add(flushable: Flushable): void {
    if (this.#dirty.length === 0) setImmediate(() => this.#flush())
    this.#dirty.push(flushable)
  }

  #flush(): void {
    const dirty = this.#dirty
    this.#dirty = []
    for (const each of dirty) each.flush()
  }
}
