import type { Requests } from './requests.ts'

const RENEW_MS = 30_000

type LeaseState = { cursor: string | undefined; active: boolean; isLive: boolean }

/** Says every 30 s, and whenever that changes, how far this device is and whether a person is looking. */
export class Lease {
  readonly #requests: Requests
  readonly #state: () => LeaseState
  #timer: ReturnType<typeof setTimeout> | undefined
  #isClosed = false

  constructor(requests: Requests, state: () => LeaseState) {
    this.#requests = requests
    this.#state = state
  }

  /** Now, and from now on. */
  renew(): void {
    clearTimeout(this.#timer)
    if (this.#isClosed) return
    const { cursor, active, isLive } = this.#state()
    this.#timer = setTimeout(() => this.renew(), RENEW_MS * (0.9 + Math.random() * 0.1))
    // PUT travels as POST, since some proxies let nothing else through. Lost ones are made up for by the next.
    if (isLive && cursor !== undefined)
      void this.#requests.json('/v1/devices/current/cursor?_method=PUT', { cursor, active })
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }
}
