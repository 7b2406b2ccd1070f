/** Who is called back on what. */
export class Listeners<Events> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => unknown>>()

  on<K extends keyof Events>(name: K, listener: (value: Events[K]) => unknown): () => void {
    const all = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, all)
    all.add(listener)
    return () => all.delete(listener)
  }

  /** Calls all, and returns what they returned. One that throws stops neither the others nor the reading. */
  emit<K extends keyof Events>(name: K, value: Events[K]): unknown[] {
    return [...(this.#listeners.get(name) ?? [])].map((listener) => {
      try {
        return listener(value as never)
      } catch (error) {
        console.error('longwave:', name, error)
        return undefined
      }
    })
  }
}
