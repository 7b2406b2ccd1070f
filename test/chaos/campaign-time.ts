import { setMaxListeners } from 'node:events'

/** How long answers are waited for after all is healed, and how long the reading at the end may take. */
const PATIENCE_MS = 60_000
const READING_MS = 300_000

/** The two ends of a campaign: when nobody begins anything any more, and when nobody waits any more. */
export class CampaignTime implements Disposable {
  readonly running = new AbortController()
  readonly patience = new AbortController()
  readonly #interruption: AbortSignal | undefined
  #timer: NodeJS.Timeout | undefined

  /** `interruption` ends both at once. */
  constructor(interruption: AbortSignal | undefined) {
    for (const { signal } of [this.running, this.patience]) setMaxListeners(0, signal)
    this.#interruption = interruption
    interruption?.addEventListener('abort', this.#interrupt)
    if (interruption?.aborted) this.#interrupt()
  }

  /** It runs for so long from now on. */
  begin(seconds: number): void {
    this.#timer = setTimeout(() => this.running.abort(), seconds * 1_000)
  }

  /** All is healed: what is under way still gets its answer. */
  healed(): void {
    this.running.abort()
    this.#allow(PATIENCE_MS)
  }

  /** Everything has its answer, and is read now. */
  answered(): void {
    this.#allow(READING_MS)
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#interruption?.removeEventListener('abort', this.#interrupt)
    this.running.abort()
    this.patience.abort()
  }

  #allow(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.patience.abort(), ms)
  }

  readonly #interrupt = () => {
    this.running.abort()
    this.patience.abort(this.#interruption?.reason)
  }
}
