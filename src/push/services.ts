import { type Place, Service } from './service.ts'

/** Remembered of each kind; who is forgotten is a stranger again. */
const MAX_REMEMBERED = 10_000
/** Strangers at which something is under way: whoever has a domain has as many hosts as they like. */
const MAX_STRANGERS = 64
/** Of these so many are kept for hosts that several endpoints are at, as invented ones seldom are. */
const RESERVED = 16
/** The push services of browsers: nobody else has hosts there. */
const OF_BROWSERS =
  /^(fcm\.googleapis\.com|updates\.push\.services\.mozilla\.com|[\w.-]+\.(push\.apple|notify\.windows)\.com)$/

/**
 * Bounds what is under way at each push service (the host of an endpoint), so that one that is slow or away holds up
 * neither the others nor the memory: whoever finds no place there comes again later. Hosts that have never accepted a push
 * are strangers, unless browsers are known to be there: anybody can name thousands that never answer, so only a few of them are tried at once.
 */
export class PushServices {
  /** By host, the longest unused first. */
  readonly #known = new Map<string, Service>()
  readonly #strangers = new Map<string, Service>()
  /** Strangers at which something is under way. */
  readonly #tried = new Set<Service>()

  /** A place at the service, or after how many ms to ask again. */
  async enter(endpoint: string): Promise<Place | { afterMs: number }> {
    const host = hostOf(endpoint)
    const service = this.#serviceOf(host)
    const place = await service.enter(endpoint)
    if ('afterMs' in place) return place
    if (!this.#isKnown(host) && !this.#admits(service, endpoint)) {
      place[Symbol.dispose]()
      return { afterMs: service.turnAway() }
    }
    return {
      ...place,
      accepted: () => {
        place.accepted()
        this.#know(host, service)
      },
      [Symbol.dispose]: () => {
        place[Symbol.dispose]()
        if (service.isIdle) this.#tried.delete(service)
      },
    }
  }

  /** Whether it is no stranger, as far as is remembered. */
  isKnown(endpoint: string): boolean {
    return this.#isKnown(hostOf(endpoint))
  }

  #isKnown(host: string): boolean {
    return this.#known.has(host) || OF_BROWSERS.test(host)
  }

  #serviceOf(host: string): Service {
    const services = this.#isKnown(host) ? this.#known : this.#strangers
    const service = services.get(host) ?? new Service()
    remember(services, host, service)
    return service
  }

  #admits(stranger: Service, endpoint: string): boolean {
    const max = stranger.isWantedBySeveral(endpoint) ? MAX_STRANGERS : MAX_STRANGERS - RESERVED
    if (this.#tried.size >= max && !this.#tried.has(stranger)) return false
    this.#tried.add(stranger)
    return true
  }

  #know(host: string, service: Service): void {
    this.#strangers.delete(host)
    this.#tried.delete(service)
    remember(this.#known, host, service)
  }
}

function hostOf(endpoint: string): string {
  return URL.parse(endpoint)?.host ?? ''
}

/** As the one used last; the longest unused that is idle makes room for it. */
function remember(services: Map<string, Service>, host: string, service: Service): void {
  services.delete(host)
  services.set(host, service)
  if (services.size <= MAX_REMEMBERED) return
  for (const [each, { isIdle }] of services) {
    if (!isIdle || each === host) continue
    services.delete(each)
    return
  }
}
