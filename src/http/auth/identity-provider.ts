import type { IncomingMessage } from 'node:http'
import {
  createRemoteJWKSet,
  decodeJwt,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose'
import type { ProviderConfig } from '../../config.ts'
import { Problem, unavailable } from '../../protocol/problems.ts'
import { deviceId, newUserId } from '../../protocol/schemas.ts'
import type { Devices } from '../../store/devices.ts'
import type { Caller } from './tokens.ts'

/** What a key of each kind may have signed: pinned, or a public key could be taken for a secret. */
const PUBLIC_KEY_ALGORITHMS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' ')
const SECRET_ALGORITHMS = ['HS256']
/** Clocks of the provider and of Postgres may differ so much. */
const TOLERANCE_SECONDS = 5
const DEFAULT_DEVICE = 'default'
const MAX_NAME_LENGTH = 128
const MAX_REMEMBERED = 50_000
const MAX_DEVICES_REMEMBERED = 16
/** So long a device is let in without asking Postgres; a sign-out needs less, by the revocations. */
const ADMITTED_MS = 10 * 60_000
/** Keys are read again so often; should that fail, those known hold on. */
const RELOAD_KEYS_MS = 10 * 60_000
/** A key that is not known is asked for at most so often. */
const RELOAD_PAUSE_MS = 2_000
const FETCH_KEYS_MS = 3_000

/** Later has no four digits for its year, which Postgres needs: a token for ever ends then. */
const LAST_TIME_MS = Date.UTC(9999, 11)

type Verified = {
  user_id: string
  name: string
  /** By the claim; else the request says it. */
  device_id: string | undefined
  /** ms since 1970. */
  issued_at: number
  expires_at: number
  /** Until when each device is let in without asking; ms, monotonic. */
  admitted: Map<string, number>
}

type Verify = (token: string, options: JWTVerifyOptions) => Promise<JWTPayload>

/** Takes an identity provider's tokens (JWT, RFC 7519) for ours: `sub` is the user, made at first sight. */
export class IdentityProvider implements Disposable {
  readonly #config: ProviderConfig
  readonly #devices: Pick<Devices, 'admit'>
  readonly #now: () => number
  readonly #verify: Verify
  readonly #algorithms: string[]
  readonly #timer: NodeJS.Timeout | undefined
  /** Verified before: a signature is checked once per token, not once per request. */
  readonly #verified = new Map<string, Verified>()

  /** `now`: ms since 1970. `onError` is told when the keys cannot be read. */
  constructor(
    config: ProviderConfig,
    parts: { devices: Pick<Devices, 'admit'>; now(): number; onError(error: unknown): void },
  ) {
    this.#config = config
    this.#devices = parts.devices
    this.#now = parts.now
    const { key } = config
    if ('secret' in key) {
      this.#algorithms = SECRET_ALGORITHMS
      const secret = new TextEncoder().encode(key.secret)
      this.#verify = async (token, options) => (await jwtVerify(token, secret, options)).payload
    } else {
      this.#algorithms = PUBLIC_KEY_ALGORITHMS
      const keys = createRemoteJWKSet(new URL(key.jwksUrl), {
        timeoutDuration: FETCH_KEYS_MS,
        cooldownDuration: RELOAD_PAUSE_MS,
        cacheMaxAge: Number.POSITIVE_INFINITY,
      })
      this.#verify = (token, options) => verifyByAny(keys, token, options)
      this.#timer = setInterval(() => void keys.reload().catch(parts.onError), RELOAD_KEYS_MS).unref()
    }
  }

  /** Whether a token says that it is the provider's. */
  hasIssued(token: string): boolean {
    if (this.#verified.has(token)) return true
    try {
      return decodeJwt(token).iss === this.#config.issuer
    } catch {
      return false
    }
  }

  /**
   * The caller, synchronously where token and device are known. Throws or rejects with Problem token_invalid,
   * token_expired, signed_out, validation_failed, or unavailable where the keys cannot be had.
   */
  authenticate(token: string, incoming: IncomingMessage): Caller | Promise<Caller> {
    const known = this.#verified.get(token)
    if (!known) return this.#check(token).then((verified) => this.#admit(verified, incoming))
    if (known.expires_at + TOLERANCE_SECONDS * 1_000 > this.#now()) return this.#admit(known, incoming)
    this.#verified.delete(token)
    throw expired()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  async #check(token: string): Promise<Verified> {
    const { issuer, audience } = this.#config
    const options = {
      issuer,
      audience,
      algorithms: this.#algorithms,
      clockTolerance: TOLERANCE_SECONDS,
      currentDate: new Date(this.#now()),
      requiredClaims: ['sub', 'exp'],
    }
    const payload = await this.#verify(token, options).catch((error: unknown) => {
      throw refusal(error)
    })
    const verified = readClaims(payload, this.#now())
    if (this.#verified.size >= MAX_REMEMBERED) this.#verified.clear()
    this.#verified.set(token, verified)
    return verified
  }

  #admit(verified: Verified, incoming: IncomingMessage): Caller | Promise<Caller> {
    const { user_id, expires_at, issued_at, name, admitted } = verified
    const device_id = verified.device_id ?? deviceOf(incoming)
    const caller: Caller = { user_id, device_id, via: 'bearer', expires_at, issued_at }
    if ((admitted.get(device_id) ?? 0) > performance.now()) return caller
    return this.#devices.admit({ user_id, name, device_id, issued_at }).then((outcome) => {
      if (outcome === 'erased') throw invalid('This account was erased.')
      if (outcome === 'signed_out') {
        throw new Problem(
          'signed_out',
          'This device was signed out. Get a new token from the identity provider.',
        )
      }
      if (admitted.size >= MAX_DEVICES_REMEMBERED) admitted.clear()
      admitted.set(device_id, performance.now() + ADMITTED_MS)
      return caller
    })
  }
}

/** Where a token names no key and several would do, each is tried. */
async function verifyByAny(
  keys: ReturnType<typeof createRemoteJWKSet>,
  token: string,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
    for await (const key of error) {
      const result = await jwtVerify(token, key, options).catch((failure: unknown) => {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure
      })
      if (result) return result.payload
    }
    throw new errors.JWSSignatureVerificationFailed()
  }
}

function readClaims({ sub, name, device_id, iat = 0, exp = 0 }: JWTPayload, now: number): Verified {
  if (!newUserId.safeParse(sub).success || typeof sub !== 'string') {
    throw invalid('Its `sub` is no user id: 1 to 128 characters, and none of "me", "." and "..".')
  }
  if (device_id !== undefined && !deviceId.safeParse(device_id).success) {
    throw invalid('Its `device_id` must have 1 to 128 characters.')
  }
  return {
    user_id: sub,
    name: displayName(name) ?? sub,
    device_id: device_id as string | undefined,
    // A clock that is ahead must not put a token behind sign-outs to come.
    issued_at: Math.max(0, Math.min(iat * 1_000, now)),
    expires_at: Math.min(exp * 1_000, LAST_TIME_MS),
    admitted: new Map(),
  }
}

/** The claim as far as it can be a display name: one that is too long or holds NUL must not shut its user out. */
function displayName(name: unknown): string | undefined {
  if (typeof name !== 'string') return undefined
  const words = name.replaceAll('\0', '').toWellFormed().trim()
  return words === '' ? undefined : [...words].slice(0, MAX_NAME_LENGTH).join('')
}

function deviceOf(incoming: IncomingMessage): string {
  const header = incoming.headers['x-device-id']
  const query = URL.parse(incoming.url ?? '/', 'http://localhost')?.searchParams.get('device_id')
  const said = (typeof header === 'string' && header) || query || DEFAULT_DEVICE
  if (deviceId.safeParse(said).success) return said
  throw new Problem(
    'validation_failed',
    'Name the device in X-Device-Id or device_id with 1 to 128 characters.',
  )
}

function refusal(error: unknown): Problem {
  if (error instanceof errors.JWTExpired) return expired()
  const isOfKeys =
    !(error instanceof errors.JOSEError) ||
    error instanceof errors.JWKSTimeout ||
    error instanceof errors.JWKSInvalid ||
    error.code === 'ERR_JOSE_GENERIC'
  if (isOfKeys) {
    return unavailable(
      'The keys of the identity provider cannot be read just now. Try again in a moment.',
      error,
    )
  }
  return invalid('Get a new one from the identity provider.')
}

function invalid(why: string): Problem {
  return new Problem('token_invalid', `The token is not valid here. ${why}`)
}

function expired(): Problem {
  return new Problem('token_expired', 'The token has expired. Get a new one from the identity provider.')
}
