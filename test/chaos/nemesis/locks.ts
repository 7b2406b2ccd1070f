/** Keeps two faults from meeting in one place: who locks a name waits until nobody else holds it. */
export class Locks {
  readonly #held = new Map<string, Promise<void>>()

  isHeld(name: string): boolean {
    return this.#held.has(name)
  }

  /** Names are taken in one order, so that nobody waits in a circle. */
  async lock(names: readonly string[]): Promise<Disposable> {
    const releases: (() => void)[] = []
    for (const name of names.toSorted()) {
      for (let holder = this.#held.get(name); holder; holder = this.#held.get(name)) await holder
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#held.set(name, promise)
      releases.push(() => {
        this.#held.delete(name)
        resolve()
      })
    }
    return {
      [Symbol.dispose]() {
        for (const release of releases) release()
      },
    }
  }
}
