import { errors, jwtVerify, SignJWT } from 'jose'
import { ACCESS_TOKEN_SECONDS } from '../../protocol/constants.ts'
import { Problem } from '../../protocol/problems.ts'

/** Who calls, from which of their devices. */
export type Caller = {
  user_id: string
  device_id: string
  via: 'bearer' | 'cookie' | 'ticket'
  /** When what they showed ends; ms since 1970. */
  expires_at: number
  /** When an identity provider issued it; ms since 1970. */
  issued_at?: number
}

const ISSUER = 'longwave'
const ALGORITHM = 'HS256'
const MAX_REMEMBERED = 50_000

/** Signs and verifies access tokens: JWTs (RFC 7519) of 15 minutes. */
export class AccessTokens {
  /** Imported once, not once per token. */
  readonly #key: Promise<CryptoKey>
  /** Verified before and not expired: a signature is checked once per token, not once per request. */
  readonly #verified = new Map<string, Caller>()
  readonly #now: () => number

  /** `now`: ms since 1970, the same on all nodes, as one judges what another signed. */
  constructor(secret: string, now: () => number) {
    this.#now = now
    const algorithm = { name: 'HMAC', hash: 'SHA-256' }
    this.#key = crypto.subtle.importKey('raw', new TextEncoder().encode(secret), algorithm, false, [
      'sign',
      'verify',
    ])
  }

  async sign(user_id: string, device_id: string): Promise<string> {
    const seconds = Math.floor(this.#now() / 1_000)
    return new SignJWT({ device_id })
      .setProtectedHeader({ alg: ALGORITHM })
      .setIssuer(ISSUER)
      .setSubject(user_id)
      .setIssuedAt(seconds)
      .setExpirationTime(seconds + ACCESS_TOKEN_SECONDS)
      .sign(await this.#key)
  }

  /** The caller, synchronously where the token is known. Throws or rejects with Problem token_invalid, token_expired. */
  verify(token: string): Caller | Promise<Caller> {
    const known = this.#verified.get(token)
    if (!known) return this.#check(token)
    if (known.expires_at > this.#now()) return known
    this.#verified.delete(token)
    throw expired()
  }

  async #check(token: string): Promise<Caller> {
    try {
      const { payload } = await jwtVerify(token, await this.#key, {
        issuer: ISSUER,
        algorithms: [ALGORITHM],
        currentDate: new Date(this.#now()),
      })
      const { sub, device_id, exp } = payload
      if (!sub || typeof device_id !== 'string' || !exp) throw new Error('claims are missing')
      const caller: Caller = { user_id: sub, device_id, via: 'bearer', expires_at: exp * 1000 }
      if (this.#verified.size >= MAX_REMEMBERED) this.#verified.clear()
      this.#verified.set(token, caller)
      return caller
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw expired()
      throw new Problem('token_invalid', 'The access token is not valid here. Sign in again.')
    }
  }
}

function expired(): Problem {
  return new Problem('token_expired', 'The access token has expired. Get a new one with the refresh token.')
}
