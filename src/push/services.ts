/** A place in a push service's row; disposing gives it back. */
export type Place = Disposable

type Service = {
  /** Pushes under way, the oldest first; when each began. */
  readonly underWay: Map<symbol, number>
  readonly waiting: Set<() => void>
  failures: number
  pausedUntil: number
}

const MAX_UNDER_WAY = 128
/** A service that takes longer is slow: nobody waits for it. */
const SLOW_MS = 2_000
/** In a row; a single one may be the endpoint's own. */
const MAX_FAILURES = 5
const MAX_PAUSE_MS = 60_000
/** Spreads those who were turned away. */
const SPREAD_MS = 3_000
const MAX_KNOWN = 10_000

/**
 * Bounds what is under way at each push service (the host of an endpoint), so that one that is slow or away holds up
 * neither the others nor the memory: whoever finds no place there comes again later.
 */
export class PushServices {
  readonly #services = new Map<string, Service>()

  /** A place at the service, or after how many ms to ask again. */
  async enter(endpoint: string): Promise<Place | { afterMs: number }> {
    const service = this.#serviceOf(endpoint)
    const paused = service.pausedUntil - performance.now()
    if (paused > 0) return { afterMs: paused + Math.random() * SPREAD_MS }
    if (service.underWay.size >= MAX_UNDER_WAY && !(await waitForPlace(service))) {
      return { afterMs: SLOW_MS + Math.random() * SPREAD_MS }
    }
    return place(service)
  }

  /** It could not take one just now: `afterMs` as it said itself. Others wait as well, the longer the more often. */
  failed(endpoint: string, afterMs: number | undefined): void {
    const service = this.#serviceOf(endpoint)
    service.failures += 1
    if (service.failures < MAX_FAILURES) return
    const pause = Math.min(afterMs ?? 1_000 * 2 ** (service.failures - MAX_FAILURES), MAX_PAUSE_MS)
    service.pausedUntil = Math.max(service.pausedUntil, performance.now() + pause)
  }

  succeeded(endpoint: string): void {
    this.#serviceOf(endpoint).failures = 0
  }

  #serviceOf(endpoint: string): Service {
    const host = URL.parse(endpoint)?.host ?? ''
    const known = this.#services.get(host)
    if (known) return known
    if (this.#services.size >= MAX_KNOWN) this.#forget()
    const service = { underWay: new Map(), waiting: new Set<() => void>(), failures: 0, pausedUntil: 0 }
    this.#services.set(host, service)
    return service
  }

  #forget(): void {
    for (const [host, { underWay, waiting }] of this.#services) {
      if (underWay.size === 0 && waiting.size === 0) this.#services.delete(host)
    }
  }
}

function place(service: Service): Place {
  const key = Symbol()
  service.underWay.set(key, performance.now())
  return {
    [Symbol.dispose]() {
      if (!service.underWay.delete(key)) return
      for (const wake of service.waiting) {
        service.waiting.delete(wake)
        wake()
        break
      }
    },
  }
}

/** False if none became free in time, or it is not to be expected. */
function waitForPlace({ underWay, waiting }: Service): Promise<boolean> {
  const [oldest = 0] = underWay.values()
  if (performance.now() - oldest > SLOW_MS) return Promise.resolve(false)
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer)
      resolve(true)
    }
    const timer = setTimeout(() => {
      waiting.delete(wake)
      resolve(false)
    }, SLOW_MS)
    waiting.add(wake)
  })
}
