import type { IncomingMessage } from 'node:http'
import { Problem } from '../../protocol/problems.ts'
import type { Devices } from '../../store/devices.ts'
import { isJson } from '../body.ts'
import type { Origins } from '../origins.ts'
import { readCookie } from './cookie.ts'
import type { IdentityProvider } from './identity-provider.ts'
import type { Revocations } from './revocations.ts'
import type { AccessTokens, Caller } from './tokens.ts'

/** A cookie's device is asked for again after so long; a sign-out needs less, by the revocations. */
const COOKIE_MEMORY_MS = 60_000
const MAX_REMEMBERED = 50_000

export type Authenticated = Caller & {
  /** The cookie to set again, since its session was extended. */
  renewCookie?: string
}

/** Finds out who calls: by access token, session cookie or, for `/v1/events`, stream ticket. */
export class Authenticator {
  readonly #tokens: AccessTokens
  readonly #devices: Devices
  readonly #revocations: Revocations
  readonly #origins: Origins
  readonly #provider: IdentityProvider | undefined
  readonly #onSeen: (user_id: string) => void
  readonly #cookies = new Map<string, { caller: Caller; until: number }>()

  constructor(parts: {
    tokens: AccessTokens
    devices: Devices
    revocations: Revocations
    origins: Origins
    provider: IdentityProvider | undefined
    /** Told of whoever shows what was not checked just before. */
    onSeen(user_id: string): void
  }) {
    this.#tokens = parts.tokens
    this.#devices = parts.devices
    this.#revocations = parts.revocations
    this.#origins = parts.origins
    this.#provider = parts.provider
    this.#onSeen = parts.onSeen
  }

  /** Throws or rejects with a Problem of status 401, or origin_refused. Synchronous where the token is known. */
  authenticate(incoming: IncomingMessage): Authenticated | Promise<Authenticated> {
    const header = incoming.headers.authorization
    if (header !== undefined) {
      const token = /^bearer +([^\s]+)$/i.exec(header.trim())?.[1]
      if (!token)
        throw new Problem('token_invalid', 'Write the header as "Authorization: Bearer <access token>".')
      const caller = this.#byToken(token, incoming)
      return caller instanceof Promise ? caller.then((each) => this.#newly(each)) : this.#notRevoked(caller)
    }
    const cookie = readCookie(incoming)
    if (cookie === undefined) {
      throw new Problem(
        'unauthenticated',
        'Send an access token in the header Authorization: Bearer, or sign in with a cookie.',
      )
    }
    this.#refuseForgery(incoming)
    return this.#byCookie(cookie)
  }

  /** Opens a stream for whoever holds the ticket. Throws Problem ticket_expired, ticket_invalid. */
  async byTicket(ticket: string): Promise<Caller> {
    const found = await this.#devices.findByTicket(ticket)
    if (!found)
      throw new Problem(
        'ticket_invalid',
        'The ticket is not known here. Get one with POST /v1/stream-tickets.',
      )
    if (found.expired)
      throw new Problem('ticket_expired', 'The ticket has expired. Get one with POST /v1/stream-tickets.')
    const { user_id, device_id, ends_at } = found
    const expires_at = ends_at?.getTime() ?? Number.POSITIVE_INFINITY
    return this.#newly({ user_id, device_id, via: 'ticket', expires_at })
  }

  #byToken(token: string, incoming: IncomingMessage): Caller | Promise<Caller> {
    if (this.#provider?.hasIssued(token)) return this.#provider.authenticate(token, incoming)
    return this.#tokens.verify(token)
  }

  #newly<T extends Caller>(caller: T): T {
    this.#onSeen(caller.user_id)
    return this.#notRevoked(caller)
  }

  #notRevoked<T extends Caller>(caller: T): T {
    if (this.#revocations.has(caller))
      throw new Problem('signed_out', 'This device was signed out. Sign in again.')
    return caller
  }

  async #byCookie(cookie: string): Promise<Authenticated> {
    const known = this.#cookies.get(cookie)
    if (known && known.until > performance.now()) return this.#notRevoked(known.caller)
    const found = await this.#devices.findByCookie(cookie)
    if (!found) throw new Problem('unauthenticated', 'The session has ended. Sign in again.')
    const { extended, user_id, device_id } = found
    const caller: Caller = { user_id, device_id, via: 'cookie', expires_at: Number.POSITIVE_INFINITY }
    if (this.#cookies.size >= MAX_REMEMBERED) this.#cookies.clear()
    this.#cookies.set(cookie, { caller, until: performance.now() + COOKIE_MEMORY_MS })
    return this.#newly(extended ? { ...caller, renewCookie: cookie } : caller)
  }

  /**
   * A browser sends the cookie whoever made the request: an unsafe method needs an allowed Origin, or where a proxy
   * stripped it a JSON body, which no foreign page can send without asking first. Where a proxy changed `Host` our own page
   * is known by the browser's word, which no page can put there (W3C Fetch Metadata).
   */
  #refuseForgery(incoming: IncomingMessage): void {
    if (incoming.method === 'GET' || incoming.method === 'HEAD') return
    if (incoming.headers['sec-fetch-site'] === 'same-origin') return
    const { origin } = incoming.headers
    if (origin === undefined ? isJson(incoming) : this.#origins.isTrusted(origin, incoming)) return
    throw new Problem(
      'origin_refused',
      origin === undefined
        ? 'With a cookie, send an Origin header or a JSON body.'
        : 'Requests with a cookie are not taken from this origin. The operator may add it to CORS_ORIGINS.',
    )
  }
}
