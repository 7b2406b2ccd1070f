/** A place in a push service's row, for one push; disposing gives it back. */
export type Place = Disposable & {
  /** The service took the push: it is known from now on. */
  accepted(): void
  /** It answered, and would not take it. */
  refused(): void
  /** It could not take the push just now: `afterMs` as it said itself. */
  failed(afterMs: number | undefined): void
}

const MAX_UNDER_WAY = 128
/** A service that takes longer is slow: nobody waits for it. */
const SLOW_MS = 2_000
/** In a row, of so many endpoints: fewer may be their own fault. */
const MAX_FAILURES = 5
const FIRST_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 60_000
/** The one that goes ahead may take so long. */
const PROBE_MS = 10_000
/** Spreads those who were turned away. */
const SPREAD_MS = 3_000
const MAX_FAILING = 1_000
/** Anybody can invent a host, and seldom several endpoints at each. */
const SEVERAL = 4
/** A stranger that finds no room again and again comes the later. */
const MAX_AWAY_MS = 32_000

/** One that fails is left alone for a while, the longer the more often; then one push goes ahead of all others. */
export class Service {
  /** Pushes under way, the oldest first; when each began. */
  readonly #underWay = new Map<symbol, number>()
  readonly #waiting = new Set<() => void>()
  /** Endpoints that failed and have not been answered since: what is always broken says nothing of its service. */
  readonly #failing = new Set<string>()
  /** Endpoints that asked for a place while it was a stranger, up to several. */
  readonly #wantedBy = new Set<string>()
  #awayMs = 0
  #awayUntil = 0
  #failures = 0
  /** What began before fails together with one that was counted. */
  #countsFrom = 0
  #pausedUntil = 0
  #lastPauseMs = 0
  #probe: symbol | undefined

  get isIdle(): boolean {
    return this.#underWay.size === 0 && this.#waiting.size === 0
  }

  async enter(endpoint: string): Promise<Place | { afterMs: number }> {
    let afterMs = this.#closedMs()
    if (afterMs === undefined && this.#underWay.size >= MAX_UNDER_WAY) {
      // It may have failed for others meanwhile.
      afterMs = (await this.#waitForPlace()) ? this.#closedMs() : SLOW_MS
    }
    return afterMs === undefined ? this.#place(endpoint) : { afterMs: afterMs + Math.random() * SPREAD_MS }
  }

  /** Whether it was asked for by several endpoints so far, this one among them. */
  isWantedBySeveral(endpoint: string): boolean {
    if (this.#wantedBy.size < SEVERAL) this.#wantedBy.add(endpoint)
    return this.#wantedBy.size >= SEVERAL
  }

  /** After how many ms to ask again, as there is no room for it among strangers. */
  turnAway(): number {
    const now = performance.now()
    if (now >= this.#awayUntil) {
      this.#awayMs = Math.min(Math.max(this.#awayMs * 2, SLOW_MS), MAX_AWAY_MS)
      this.#awayUntil = now + this.#awayMs
    }
    return this.#awayUntil - now + Math.random() * Math.max(this.#awayMs, SPREAD_MS)
  }

  /** For how long nobody gets in, unless somebody may. */
  #closedMs(): number | undefined {
    const pausedMs = this.#pausedUntil - performance.now()
    if (pausedMs > 0) return pausedMs
    return this.#probe ? Math.min(this.#lastPauseMs, PROBE_MS) : undefined
  }

  #place(endpoint: string): Place {
    const key = Symbol()
    const began = performance.now()
    this.#underWay.set(key, began)
    if (this.#failures >= MAX_FAILURES) this.#probe = key
    const answered = () => {
      this.#failing.delete(endpoint)
      this.#failures = 0
      this.#probe = undefined
    }
    return {
      accepted: answered,
      refused: answered,
      failed: (afterMs) => {
        if (began >= this.#countsFrom && !this.#failing.has(endpoint)) this.#count(endpoint, afterMs)
      },
      [Symbol.dispose]: () => this.#leave(key),
    }
  }

  #leave(key: symbol): void {
    if (!this.#underWay.delete(key)) return
    if (this.#probe === key) this.#probe = undefined
    const [wake] = this.#waiting
    wake?.()
  }

  #count(endpoint: string, afterMs = 0): void {
    const [oldest = ''] = this.#failing
    if (this.#failing.size >= MAX_FAILING) this.#failing.delete(oldest)
    this.#failing.add(endpoint)
    this.#failures += 1
    const now = performance.now()
    const isPause = this.#failures >= MAX_FAILURES
    if (isPause || this.#failures === 1) this.#countsFrom = now
    if (!isPause) return
    const pauseMs = Math.max(FIRST_PAUSE_MS * 2 ** (this.#failures - MAX_FAILURES), afterMs)
    this.#lastPauseMs = Math.min(pauseMs, MAX_PAUSE_MS)
    this.#pausedUntil = now + this.#lastPauseMs
  }

  /** False if none became free in time, or it is not to be expected. */
  #waitForPlace(): Promise<boolean> {
    const [oldest = 0] = this.#underWay.values()
    if (performance.now() - oldest > SLOW_MS) return Promise.resolve(false)
    return new Promise((resolve) => {
      const end = (isFree: boolean) => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve(isFree)
      }
      const wake = () => end(true)
      const timer = setTimeout(end, SLOW_MS, false)
      this.#waiting.add(wake)
    })
  }
}
