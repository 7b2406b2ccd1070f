import { Waker } from '../pause.ts'

/** How often is looked whether another node has left something undone, a quarter more or less. */
const LOOK_EVERY_MS = 2_000

/**
 * Work that lies in the database until it is done, a step at a time: woken by whoever adds some, else looked for, so that
 * another node takes over what one left when it died. A step that fails is tried again with the next look.
 */
export class Background implements AsyncDisposable {
  readonly #step: () => Promise<boolean>
  readonly #onError: (error: unknown) => void
  readonly #closing = new AbortController()
  readonly #waker = new Waker()
  #hasFailed = false
  readonly #ended: Promise<void>

  /** `step` does a bounded part in one transaction; true if there may be more. */
  constructor(step: () => Promise<boolean>, onError: (error: unknown) => void) {
    this.#step = step
    this.#onError = onError
    this.#ended = this.#run()
  }

  /** Looks at once. */
  wake(): void {
    this.#waker.wake()
  }

  /** Lets the step under way end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#waker.close()
    await this.#ended
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      if (!(await this.#try())) await this.#waker.pause(LOOK_EVERY_MS * (0.75 + Math.random() / 2))
    }
  }

  async #try(): Promise<boolean> {
    try {
      const hasMore = await this.#step()
      this.#hasFailed = false
      return hasMore
    } catch (error) {
      // Told once, though it is tried again and again.
      if (!this.#hasFailed && !this.#closing.signal.aborted) this.#onError(error)
      this.#hasFailed = true
      return false
    }
  }
}
