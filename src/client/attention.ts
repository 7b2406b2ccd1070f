/** Nobody is looking any more when so long no pointer, key, wheel or touch was used. */
const IDLE_MS = 180_000
/** Use is told no sooner after use that was told. */
const TOLD_MS = 1_000
const USES = ['pointermove', 'pointerdown', 'keydown', 'wheel']

/** Whether somebody sits before this page or another of the gateway at `base`: tabs tell each other. */
export class Attention {
  readonly #back: () => void
  #usedAt = performance.now()

  /** `back` is called when somebody uses a page again whom nobody expected any more. */
  constructor(base: string, signal: AbortSignal, back: () => void) {
    this.#back = back
    const tabs = typeof BroadcastChannel === 'function' && new BroadcastChannel(`longwave ${base} attention`)
    if (tabs) {
      tabs.onmessage = () => this.#use()
      signal.addEventListener('abort', () => tabs.close())
    }
    const used = () => {
      if (performance.now() - this.#usedAt < TOLD_MS) return
      if (tabs) tabs.postMessage('used')
      this.#use()
    }
    const options = { capture: true, passive: true, signal }
    for (const use of USES) addEventListener(use, used, options)
    // Whoever turns to a page may use nothing of it yet.
    document.addEventListener(
      'visibilitychange',
      () => document.visibilityState === 'visible' && used(),
      options,
    )
  }

  get isThere(): boolean {
    return performance.now() - this.#usedAt < IDLE_MS
  }

  #use(): void {
    const { isThere } = this
    this.#usedAt = performance.now()
    if (!isThere) this.#back()
  }
}
