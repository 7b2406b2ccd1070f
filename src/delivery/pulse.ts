/** Something that has a next moment: a heartbeat, an end. */
export type Beating = {
  /** Called at the moment asked for or half a second later; `now` in ms, monotonic. */
  beat(now: number): void
}

const TICK_MS = 500

/** One timer for all streams: a wheel of half-seconds, so that an idle stream costs no timer of its own. */
export class Pulse implements Disposable {
  readonly #wheel = new Map<number, Set<Beating>>()
  #tick = Math.floor(performance.now() / TICK_MS)
  readonly #timer = setInterval(() => this.#turn(), TICK_MS).unref()

  /** Calls `beating` at `due` (ms, monotonic). Returns what `cancel` takes. */
  schedule(beating: Beating, due: number): number {
    const slot = Math.max(Math.ceil(due / TICK_MS), this.#tick + 1)
    const beatings = this.#wheel.get(slot)
    if (beatings) beatings.add(beating)
    else this.#wheel.set(slot, new Set([beating]))
    return slot
  }

  cancel(beating: Beating, slot: number): void {
    this.#wheel.get(slot)?.delete(beating)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#wheel.clear()
  }

  #turn(): void {
    const now = performance.now()
    const until = Math.floor(now / TICK_MS)
    while (this.#tick < until) {
      this.#tick += 1
      const due = this.#wheel.get(this.#tick)
      this.#wheel.delete(this.#tick)
      for (const beating of due ?? []) beating.beat(now)
    }
  }
}
