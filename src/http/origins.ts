import type { IncomingMessage, ServerResponse } from 'node:http'
import { BlockList, isIP } from 'node:net'
import type { Cidr } from '../config.ts'

const PREFLIGHT_HEADERS =
  'Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Device-Id, X-HTTP-Method-Override'
const EXPOSED_HEADERS = 'Idempotent-Replayed, Retry-After, X-Request-Id'

export type OriginSettings = {
  corsOrigins: ReadonlySet<string>
  publicUrl: string | undefined
  trustedProxies: readonly Cidr[]
}

/** Where requests come from: origins that may call with credentials, and the address behind trusted proxies. */
export class Origins {
  readonly #settings: OriginSettings
  readonly #proxies = new BlockList()

  constructor(settings: OriginSettings) {
    this.#settings = settings
    for (const { address, prefix, family } of settings.trustedProxies)
      this.#proxies.addSubnet(address, prefix, family)
  }

  /** Whether a page of `origin` may act for its user: our own page, or one the operator allowed. */
  isTrusted(origin: string, incoming: IncomingMessage): boolean {
    const { corsOrigins, publicUrl } = this.#settings
    if (corsOrigins.has(origin) || origin === publicUrl) return true
    const host = incoming.headers[':authority'] ?? incoming.headers.host
    return host !== undefined && URL.parse(origin)?.host === host
  }

  /** Sets the CORS headers for allowed origins (WHATWG Fetch). True if this was a preflight and is answered. */
  applyCors(incoming: IncomingMessage, response: ServerResponse): boolean {
    const { origin } = incoming.headers
    if (this.#settings.corsOrigins.size > 0) response.setHeader('Vary', 'Origin')
    if (origin === undefined || !this.#settings.corsOrigins.has(origin)) return false
    response.setHeader('Access-Control-Allow-Origin', origin)
    response.setHeader('Access-Control-Allow-Credentials', 'true')
    response.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS)
    if (incoming.method !== 'OPTIONS' || !incoming.headers['access-control-request-method']) return false
    response.setHeader('Access-Control-Allow-Methods', 'GET, POST, PUT, PATCH, DELETE')
    response.setHeader('Access-Control-Allow-Headers', PREFLIGHT_HEADERS)
    response.setHeader('Access-Control-Max-Age', '600')
    response.writeHead(204).end()
    return true
  }

  /** The caller's address: the last in X-Forwarded-For that no trusted proxy has. */
  addressOf(incoming: IncomingMessage): string {
    let address = incoming.socket.remoteAddress ?? ''
    const forwarded = String(incoming.headers['x-forwarded-for'] ?? '').split(',')
    while (this.#isProxy(address) && forwarded.length > 0) {
      const before = forwarded.pop()?.trim() ?? ''
      if (isIP(before) === 0) break
      address = before
    }
    return address
  }

  /** Whether the caller speaks https, to us or to a trusted proxy. */
  isSecure(incoming: IncomingMessage): boolean {
    if ('encrypted' in incoming.socket) return true
    if (this.#settings.publicUrl?.startsWith('https:')) return true
    return (
      this.#isProxy(incoming.socket.remoteAddress ?? '') && incoming.headers['x-forwarded-proto'] === 'https'
    )
  }

  #isProxy(address: string): boolean {
    const bare = address.replace(/^::ffff:/, '')
    const version = isIP(bare)
    return version !== 0 && this.#proxies.check(bare, version === 6 ? 'ipv6' : 'ipv4')
  }
}
