/** Hands on together what comes within one round of the event loop: no timer, one write or wake-up for all of it. */
export class Gatherer<T> {
  readonly #handOn: (items: T[]) => void
  #items: T[] = []

  constructor(handOn: (items: T[]) => void) {
    this.#handOn = handOn
  }

  add(item: T): void {
    if (this.#items.push(item) > 1) return
    setImmediate(() => {
      const items = this.#items
      this.#items = []
      this.#handOn(items)
    })
  }
}
