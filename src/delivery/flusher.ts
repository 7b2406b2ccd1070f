import { Gatherer } from '../gatherer.ts'

export type Flushable = { flush(): void }

/** Collects who has something to write and lets them write once, at the end of the tick: one write each. */
export class Flusher {
  readonly #dirty = new Gatherer<Flushable>((dirty) => {
    for (const each of dirty) each.flush()
  })

  add(flushable: Flushable): void {
    this.#dirty.add(flushable)
  }
}
