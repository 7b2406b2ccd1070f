import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'

export const ISSUER = 'https://id.example.org/'
export const AUDIENCE = 'chat'

type Claims = { sub?: string | undefined; exp?: number | undefined; [claim: string]: unknown }

/** An identity provider: signs tokens, and serves its keys over real HTTP. */
export class TestProvider implements AsyncDisposable {
  readonly #server: Server
  #keys: { kid: string; alg: string; privateKey: CryptoKey; jwk: JWK }[] = []
  /** How often the keys were asked for. */
  requests = 0
  /** What it answers instead of its keys. */
  broken: 'answers 500' | 'answers nonsense' | undefined

  private constructor() {
    this.#server = createServer((_, response) => {
      this.requests += 1
      if (this.broken === 'answers 500') response.writeHead(500).end('no')
      else if (this.broken) response.end('<html>')
      else response.end(JSON.stringify({ keys: this.#keys.map(({ jwk }) => jwk) }))
    })
  }

  static async start(): Promise<TestProvider> {
    const provider = new TestProvider()
    await provider.#listen(0)
    await provider.rotate('first')
    return provider
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}/keys`
  }

  /** From now on it signs with a key of this name, and names no other. */
  async rotate(kid: string, alg = 'RS256'): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
    this.#keys = [{ kid, alg, privateKey, jwk }]
  }

  /** A token for a quarter of an hour, unless `claims` say otherwise. */
  async token(claims: Claims, header: object = {}): Promise<string> {
    const [key] = this.#keys
    if (!key) throw new Error('there is no key')
    const now = Math.floor(Date.now() / 1_000)
    const payload = { iss: ISSUER, aud: AUDIENCE, iat: now, exp: now + 900, ...claims }
    return new SignJWT(payload as JWTPayload)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
      .sign(key.privateKey)
  }

  /** It cannot be reached until what this gives is called. */
  async goAway(): Promise<() => Promise<void>> {
    const { port } = this.#server.address() as AddressInfo
    await this.#close()
    return () => this.#listen(port)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, '127.0.0.1', () => resolve()))
  }

  #close(): Promise<void> {
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}
