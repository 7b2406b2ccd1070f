import { setTimeout as pause } from 'node:timers/promises'

/** What goes to one device, one after the other. */
export class Line {
  /** Nothing is to be tried before (ms since 1970). */
  heldUntil = 0
  #length = 0
  #end: Promise<unknown> = Promise.resolve()

  /** Runs it behind what is under way; nothing if that lasts for longer than `ms`. */
  async next<T>(run: () => Promise<T>, ms: number): Promise<T | undefined> {
    const before = this.#end
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#end = Promise.all([before, promise])
    this.#length += 1
    try {
      const isNext = this.#length === 1 || (await endsWithin(ms, before))
      return isNext ? await run() : undefined
    } finally {
      this.#length -= 1
      resolve()
    }
  }
}

function endsWithin(ms: number, end: Promise<unknown>): Promise<boolean> {
  return Promise.race([end.then(() => true), pause(Math.max(ms, 0), false, { ref: false })])
}
