import { setTimeout as timeout } from 'node:timers/promises'

/** Resolves after `ms`, or as soon as the signal is aborted. Keeps no process alive. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await timeout(ms, undefined, { signal, ref: false }).catch(() => {})
}

/** What a loop waits by between two looks, unless somebody has something for it. */
export class Waker {
  #waiting = new AbortController()
  #isWoken = false
  #isClosed = false

  /** Ends the pause under way; without one there is no next one. */
  wake(): void {
    this.#isWoken = true
    this.#waiting.abort()
  }

  /** From now on there are no pauses. */
  close(): void {
    this.#isClosed = true
    this.#waiting.abort()
  }

  /** Resolves after `ms`, or as soon as it is woken. */
  async pause(ms: number): Promise<void> {
    this.#waiting = new AbortController()
    if (!this.#isWoken && !this.#isClosed) await pause(ms, this.#waiting.signal)
    this.#isWoken = false
  }
}
