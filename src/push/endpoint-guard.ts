import { lookup, Resolver } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

const RESOLVED_WITHIN_MS = 4_000

/** Where pushes may go: anywhere public, or only to `push.example.org`, `*.example.org`, with `:port` unless it is 443. */
export type EndpointRules = { allowedHosts: readonly string[]; allowPrivate: boolean }

/** An endpoint that nothing is sent to. Its message says why and names neither path nor address. */
export class EndpointRefused extends Error {
  override name = 'EndpointRefused'
}

/** One that is refused for how it is written, which whoever sent it may be told: nothing was looked up for that. */
export class EndpointMiswritten extends EndpointRefused {}

/**
 * Keeps pushes from being aimed at what only this machine can reach. An endpoint is whatever URL a client names, so it
 * is checked when it is registered and again when a connection is made, to the very addresses that were checked.
 */
export class EndpointGuard {
  readonly #rules: EndpointRules
  readonly #resolver: Resolver

  /** The resolver is the network's own: getaddrinfo would let a name server that hangs take the threads of all. */
  constructor(rules: EndpointRules, resolver = new Resolver({ timeout: 1_500, tries: 2 })) {
    this.#rules = rules
    this.#resolver = resolver
  }

  /** The endpoint, parsed (and normalised) as browsers do. Throws EndpointRefused; asks nobody. */
  parse(endpoint: string): URL {
    const url = URL.parse(endpoint)
    if (url?.protocol !== 'https:') throw new EndpointMiswritten('is not an https address')
    if (url.username !== '' || url.password !== '') throw new EndpointMiswritten('contains credentials')
    const { allowedHosts, allowPrivate } = this.#rules
    if (allowedHosts.length > 0) {
      if (!allowedHosts.some((pattern) => matches(pattern, url.host))) {
        throw new EndpointMiswritten('is not at a host that this gateway pushes to')
      }
    } else if (url.port !== '' && !allowPrivate) throw new EndpointMiswritten('is not at port 443')
    if (isLocalhost(url.hostname)) this.#require('127.0.0.1')
    const address = addressOf(url)
    if (address !== undefined) this.#require(address)
    return url
  }

  /**
   * The same, and resolves its name, of which every address has to be public. Rejects with EndpointRefused, or with an
   * error of the resolver where nobody knows.
   */
  async check(endpoint: string): Promise<URL> {
    const url = this.parse(endpoint)
    if (addressOf(url) !== undefined) return url
    await this.#resolve(url.hostname).catch((error: unknown) => {
      throw isUnknownName(error) ? new EndpointRefused('has no address') : error
    })
    return url
  }

  /** For connections: hands on only addresses that were checked. Not asked for hosts that are addresses. */
  readonly lookup: LookupFunction = (hostname, options, done) => {
    this.#resolve(hostname).then(
      (found) => {
        const [first] = found
        if (options.all) done(null, found)
        else done(null, first?.address ?? '', first?.family)
      },
      (error: NodeJS.ErrnoException) => done(error, ''),
    )
  }

  async #resolve(hostname: string): Promise<{ address: string; family: number }[]> {
    if (this.#rules.allowPrivate && isLocalhost(hostname)) return LOOPBACK
    const asked = [this.#resolver.resolve4(hostname), this.#resolver.resolve6(hostname)]
    const answers = await inTime(Promise.allSettled(asked))
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
    if (found.length === 0) {
      const failure = failures.find((error) => !isUnknownName(error)) ?? failures[0]
      if (!this.#rules.allowPrivate) throw failure
      // What only this machine knows, as /etc/hosts, is private.
      return inTime(lookup(hostname, { all: true })).catch(() => Promise.reject(failure))
    }
    for (const address of found) this.#require(address)
    return found.map((address) => ({ address, family: isIP(address) }))
  }

  #require(address: string): void {
    if (!this.#rules.allowPrivate && !isPublic(address)) {
      throw new EndpointRefused('is not at a public address')
    }
  }
}

const LOOPBACK = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
]

/** RFC 6761, 6.3: always this machine, and nothing to ask name servers for. */
function isLocalhost(hostname: string): boolean {
  return /(^|\.)localhost\.?$/.test(hostname)
}

/** The address that stands in the place of a name, if one does: decimal, octal and short ones are normal by now. */
function addressOf(url: URL): string | undefined {
  const bare = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return isIP(bare) === 0 ? undefined : bare
}

/** All of IPv6 that is given out for public use: outside it are ways to write IPv4, such as ::127.0.0.1. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3')

/** Only plain unicast: what has an IPv4 address inside (mapped, NAT64, 6to4, Teredo) may lead anywhere. */
function isPublic(text: string): boolean {
  const address = ipaddr.parse(text)
  if (address.range() !== 'unicast') return false
  return address.kind() === 'ipv4' || (address as ipaddr.IPv6).match(GLOBAL_UNICAST)
}

/** Whether the name servers know that there is no such address, rather than not knowing. */
function isUnknownName(error: unknown): boolean {
  return /^(ENOTFOUND|ENODATA|EBADNAME)$/.test(String((error as NodeJS.ErrnoException).code))
}

function matches(pattern: string, host: string): boolean {
  return pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const error = Object.assign(new Error('the name server does not answer'), { code: 'ETIMEOUT' })
  const timer = setTimeout(reject, RESOLVED_WITHIN_MS, error)
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
