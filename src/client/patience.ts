import { FIRST_BACKOFF_MS, LONGEST_BACKOFF_MS } from './ladder/timing.ts'
import { pause } from './pause.ts'

/** The pauses between tries of what is repeated until it is answered. */
export class Patience {
  #hurry = new AbortController()

  /** There is reason to think that it works now: whoever waits tries at once. */
  hurry(): void {
    this.#hurry.abort()
    this.#hurry = new AbortController()
  }

  /**
   * Resolves when to try again: full jitter, doubling with each of `tries`. What the server asked for is waited for whole;
   * anything else may be cut short by `hurry`; either ends when the signal is aborted.
   */
  pause(tries: number, retryAfterMs?: number, signal?: AbortSignal): Promise<undefined> {
    const ceiling = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** tries)
    const jitter = 50 + Math.random() * ceiling
    if (retryAfterMs !== undefined) return pause(retryAfterMs + jitter, signal)
    return pause(jitter, signal, this.#hurry.signal)
  }
}
