import { FIRST_BACKOFF_MS, LONGEST_BACKOFF_MS } from './ladder/timing.ts'

/** The pauses between tries of what is repeated until it is answered. */
export class Patience {
  readonly #sleepers = new Set<() => void>()

  /** There is reason to think that it works now: whoever waits tries at once. */
  hurry(): void {
    for (const wake of this.#sleepers) wake()
  }

  /**
   * Resolves when to try again: full jitter, doubling with each of `tries`. What the server asked for is waited for whole;
   * anything else may be cut short by `hurry`; either ends when the signal is aborted.
   */
  pause(tries: number, retryAfterMs?: number, signal?: AbortSignal): Promise<void> {
    const ceiling = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** tries)
    const jitter = 50 + Math.random() * ceiling
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#sleepers.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, (retryAfterMs ?? 0) + jitter)
      if (retryAfterMs === undefined) this.#sleepers.add(wake)
      signal?.addEventListener('abort', wake)
    })
  }
}
