/** Keeps two faults from meeting in one place: who locks a name waits until nobody else holds it. */
export class Locks {
  readonly #held = new Map<string, Promise<void>>()

  /** Names are taken in one order, so that nobody waits in a circle. */
  async lock(names: readonly string[]): Promise<Disposable> {
    const releases: (() => void)[] = []
    for (const name of [...names].sort()) {
      const before = this.#held.get(name)
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#held.set(
        name,
        (before ?? Promise.resolve()).then(() => promise),
      )
      await before
      releases.push(resolve)
    }
    return { [Symbol.dispose]: () => releases.forEach((release) => void release()) }
  }
}
