/**
 * `signal` aborts with the one given, or after `ms`. Disposing forgets both: of AbortSignal.timeout() a timer stays until its time has come, and at
 * a thousand pushes a second tens of thousands of them.
 */
export class Deadline implements Disposable {
  readonly signal: AbortSignal
  readonly #given: AbortSignal
  readonly #giveUp: () => void
  readonly #timer: NodeJS.Timeout

  constructor(given: AbortSignal, ms: number) {
    const controller = new AbortController()
    this.#giveUp = () => controller.abort()
    this.#given = given
    this.#timer = setTimeout(this.#giveUp, ms).unref()
    this.signal = controller.signal
    given.addEventListener('abort', this.#giveUp)
    if (given.aborted) this.#giveUp()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#given.removeEventListener('abort', this.#giveUp)
  }
}
