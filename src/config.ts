import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { z } from 'zod'
import type { NatsOptions } from './live/nats-bus.ts'
import { publicKeyOf } from './push/p256.ts'
import { StartError } from './start-error.ts'

/** An address range such as 10.0.0.0/8. */
export type Cidr = { address: string; prefix: number; family: 'ipv4' | 'ipv6' }

/** An operator's identity provider: whose tokens are taken, and what they are verified with. */
export type ProviderConfig = {
  issuer: string
  audience: string
  key: { jwksUrl: string } | { secret: string }
}

/** Waking people up. */
export type PushConfig = {
  /** Whoever has not received something for so long is away. */
  graceMs: number
  /** Whether a push shows the text. */
  previews: boolean
  /** Where pushes may go: `push.example.org`, `*.example.org`, `push.example.org:8443`; empty means anywhere. */
  allowedHosts: readonly string[]
  /** Whether pushes may go to private addresses, and any port. */
  allowPrivate: boolean
  /** Signs pushes; without it one is made and kept in the database. */
  vapidPrivateKey: string | undefined
  /** Whom push services write to: `mailto:` or `https:`. */
  vapidSubject: string | undefined
}

/** All settings, read once and checked. Tests build one themselves. */
export type Config = {
  host: string
  port: number
  /** Processes that serve the one port; 1 is this one alone. */
  workers: number
  /** Without it an embedded Postgres runs under `dataDir`. */
  databaseUrl: string | undefined
  dataDir: string
  /** Without it this node is alone. */
  nats: NatsOptions | undefined
  /** Origin that clients use, without a trailing slash. */
  publicUrl: string | undefined
  corsOrigins: ReadonlySet<string>
  trustedProxies: readonly Cidr[]
  /** PEM texts. */
  tls: { cert: string; key: string } | undefined
  rateLimits: boolean
  signup: boolean
  directory: boolean
  /** Whether people are shown when others are there. */
  presence: boolean
  /** Without it there is no `/v1/admin`. */
  adminToken: string | undefined
  /** Without it only accounts of our own are known. */
  provider: ProviderConfig | undefined
  push: PushConfig
  groupLimit: number
  retentionDays: number
  logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

const onOff = z.enum(['on', 'off'], { error: 'must be "on" or "off"' }).transform((value) => value === 'on')

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, { error: `must be a whole number from ${min} to ${max}` })
    .transform(Number)
    .refine((value) => value >= min && value <= max, {
      error: `must be a whole number from ${min} to ${max}`,
    })

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
)

function isOrigin(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text
}

const origin = z
  .string()
  .transform((text) => text.replace(/\/+$/, ''))
  .refine(isOrigin, { error: 'must be an origin such as https://chat.example.org, without a path' })

const cidr = z.string().transform((text, context): Cidr => {
  const [address = '', bits] = text.split('/')
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  const longest = family === 'ipv6' ? 128 : 32
  const prefix = bits === undefined ? longest : Number(bits)
  if (isIP(address) === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > longest || bits === '') {
    context.addIssue({
      code: 'custom',
      message: `must be addresses or ranges such as 10.0.0.0/8, not "${text}"`,
    })
  }
  return { address, prefix, family }
})

const file = z.string().transform((path, context) => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    context.addIssue({ code: 'custom', message: `must name a readable file: ${(error as Error).message}` })
    return z.NEVER
  }
})

const postgresUrl = z.string().refine((text) => /^postgres(ql)?:$/.test(URL.parse(text)?.protocol ?? ''), {
  error: 'must be an address such as postgres://user:password@host:5432/database',
})

const natsUrls = list
  .transform((urls) => urls.map((text) => URL.parse(text)))
  .refine(
    (urls) =>
      urls.length > 0 && urls.every((url) => /^(nats|tls):$/.test(url?.protocol ?? '') && url?.hostname),
    {
      error: 'must be addresses such as nats://user:password@host:4222, with commas between them',
    },
  )
  .transform((urls) => urls.filter((url) => url !== null))

const secret = z.string().min(32, { error: 'must have at least 32 characters, random ones' })

/** One to which pushes may go, as an address; nothing if it can be none. */
function parsePushHost(text: string): URL | null {
  const isHost = /^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:\d+)?$/i.test(text)
  return isHost ? URL.parse(`https://${text.replace('*.', '')}`) : null
}

const pushHost = z
  .string()
  .refine((text) => parsePushHost(text.replace(/:\d+$/, '')), {
    error: 'must be hosts such as push.example.org or *.example.org, with commas between them',
  })
  .refine((text) => parsePushHost(text) && !/:0+$/.test(text), {
    error: 'must have ports from 1 to 65535, such as push.example.org:8443',
  })
  // As an endpoint shows it: without the port 443.
  .transform((text) => `${text.startsWith('*.') ? '*.' : ''}${parsePushHost(text)?.host}`)

const vapidPrivateKey = z.string().refine((text) => publicKeyOf(text) !== undefined, {
  error: 'must be a P-256 private key: 32 bytes as base64url, 43 characters',
})

/** One address that somebody can write to; whether it is theirs nobody can tell. */
function isContact(text: string): boolean {
  const [, address] = /^mailto:(.*)$/s.exec(text) ?? []
  if (address !== undefined) return z.regexes.html5Email.test(address)
  return /^https:\/\/[^\s,]+$/.test(text) && URL.parse(text)?.username === ''
}

const vapidSubject = z
  .string()
  .transform((text) => text.replace(/^[a-z]+:/i, (scheme) => scheme.toLowerCase()))
  .refine(isContact, {
    error: 'must be one address such as mailto:admin@example.org or https://example.org/contact',
  })

const environment = z.object({
  PORT: whole(0, 65_535).default(8080),
  HOST: z
    .string()
    .min(1, { error: 'must be an address to listen on, such as 127.0.0.1 or 0.0.0.0' })
    .default('127.0.0.1'),
  WORKERS: whole(1, 64).default(1),
  DATABASE_URL: postgresUrl.optional(),
  DATA_DIR: z.string().default('./data'),
  NATS_URL: natsUrls.optional(),
  NATS_CREDS: file.optional(),
  NATS_CA: file.optional(),
  PUBLIC_URL: origin.optional(),
  CORS_ORIGINS: list.pipe(z.array(origin)).default([]),
  TRUSTED_PROXIES: list.pipe(z.array(cidr)).default([]),
  TLS_CERT: file.optional(),
  TLS_KEY: file.optional(),
  RATE_LIMITS: onOff.default(true),
  SIGNUP: onOff.default(true),
  DIRECTORY: onOff.default(true),
  PRESENCE: onOff.default(true),
  ADMIN_TOKEN: secret
    .regex(/^[\x21-\x7e]*$/, { error: 'must be visible ASCII characters without blanks' })
    .optional(),
  AUTH_JWKS_URL: z
    .string()
    .refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ''), {
      error: 'must be an address such as https://id.example.org/.well-known/jwks.json',
    })
    .optional(),
  AUTH_JWT_SECRET: secret.optional(),
  AUTH_ISSUER: z
    .string()
    .refine((issuer) => issuer !== 'longwave', {
      error: 'must be the identity provider, not Longwave itself',
    })
    .optional(),
  AUTH_AUDIENCE: z.string().optional(),
  VAPID_PUBLIC_KEY: z.string().optional(),
  VAPID_PRIVATE_KEY: vapidPrivateKey.optional(),
  VAPID_SUBJECT: vapidSubject.optional(),
  PUSH_ALLOWED_HOSTS: list
    .refine((hosts) => hosts.length > 0, { error: 'must name at least one host, or be unset for any' })
    .pipe(z.array(pushHost))
    .default([]),
  PUSH_ALLOW_PRIVATE: onOff.default(false),
  PUSH_GRACE_SECONDS: whole(0, 600).default(5),
  PUSH_PREVIEWS: onOff.default(true),
  GROUP_LIMIT: whole(2, 1_000).default(100),
  INBOX_RETENTION_DAYS: whole(1, 3_650).default(30),
  LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'], {
      error: 'must be debug, info, warn, error or silent',
    })
    .default('info'),
})

/**
 * Reads the environment. An empty variable counts as not set. Throws StartError with one line that names the variable,
 * what is wrong with it and what would be right.
 */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  )
  const parsed = environment.safeParse(given)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const name = String(issue?.path[0])
    const value = /^(TLS_|NATS_|DATABASE_URL|ADMIN_TOKEN|AUTH_JWT_SECRET|VAPID_PRIVATE_KEY)/.test(name)
      ? ''
      : ` is "${given[name]}" but`
    throw new StartError(`${name}${value} ${issue?.message}`)
  }
  const set = parsed.data
  if ((set.TLS_CERT === undefined) !== (set.TLS_KEY === undefined)) {
    const [missing, present] = set.TLS_CERT === undefined ? ['TLS_CERT', 'TLS_KEY'] : ['TLS_KEY', 'TLS_CERT']
    throw new StartError(`${missing} is not set but ${present} is: set both for HTTPS, or neither`)
  }
  return {
    host: set.HOST,
    port: set.PORT,
    workers: set.WORKERS,
    databaseUrl: set.DATABASE_URL,
    dataDir: resolve(set.DATA_DIR),
    nats: set.NATS_URL && natsConfig(set.NATS_URL, set.NATS_CREDS, set.NATS_CA),
    publicUrl: set.PUBLIC_URL,
    corsOrigins: new Set(set.CORS_ORIGINS),
    trustedProxies: set.TRUSTED_PROXIES,
    tls:
      set.TLS_CERT !== undefined && set.TLS_KEY !== undefined
        ? { cert: set.TLS_CERT, key: set.TLS_KEY }
        : undefined,
    rateLimits: set.RATE_LIMITS,
    signup: set.SIGNUP,
    directory: set.DIRECTORY,
    presence: set.PRESENCE,
    adminToken: set.ADMIN_TOKEN,
    provider: providerConfig(set),
    push: {
      graceMs: set.PUSH_GRACE_SECONDS * 1_000,
      previews: set.PUSH_PREVIEWS,
      allowedHosts: set.PUSH_ALLOWED_HOSTS,
      allowPrivate: set.PUSH_ALLOW_PRIVATE,
      vapidPrivateKey: vapidKey(set),
      vapidSubject: set.VAPID_SUBJECT,
    },
    groupLimit: set.GROUP_LIMIT,
    retentionDays: set.INBOX_RETENTION_DAYS,
    logLevel: set.LOG_LEVEL,
  }
}

/** The identity provider, if one is set. Throws StartError where only a part of it is. */
function providerConfig(set: z.output<typeof environment>): ProviderConfig | undefined {
  const {
    AUTH_JWKS_URL: jwksUrl,
    AUTH_JWT_SECRET: secret,
    AUTH_ISSUER: issuer,
    AUTH_AUDIENCE: audience,
  } = set
  if (jwksUrl !== undefined && secret !== undefined) {
    throw new StartError(
      'AUTH_JWT_SECRET and AUTH_JWKS_URL are both set: set the one that the tokens are signed for',
    )
  }
  const key = jwksUrl !== undefined ? { jwksUrl } : secret !== undefined ? { secret } : undefined
  if (!key && issuer === undefined && audience === undefined) return undefined
  const missing = !key
    ? 'AUTH_JWKS_URL or AUTH_JWT_SECRET'
    : issuer === undefined
      ? 'AUTH_ISSUER'
      : 'AUTH_AUDIENCE'
  if (!key || issuer === undefined || audience === undefined) {
    throw new StartError(
      `${missing} is not set: an identity provider needs keys, AUTH_ISSUER and AUTH_AUDIENCE`,
    )
  }
  return { issuer, audience, key }
}

/** The private key, if one is set. Throws StartError where only one half is, or the halves do not belong together. */
function vapidKey(set: z.output<typeof environment>): string | undefined {
  const { VAPID_PUBLIC_KEY: publicKey, VAPID_PRIVATE_KEY: privateKey } = set
  if (publicKey === undefined && privateKey === undefined) return undefined
  if (publicKey === undefined || privateKey === undefined) {
    const [missing, present] = ['VAPID_PUBLIC_KEY', 'VAPID_PRIVATE_KEY']
    const names = publicKey === undefined ? [missing, present] : [present, missing]
    throw new StartError(`${names[0]} is not set but ${names[1]} is: set both, or neither to have them made`)
  }
  const fitting = publicKeyOf(privateKey)
  if (publicKey !== fitting) {
    throw new StartError(
      `VAPID_PUBLIC_KEY is "${publicKey}" but must be "${fitting}" to go with VAPID_PRIVATE_KEY`,
    )
  }
  return privateKey
}

/** Login and TLS are those of the first address that has them: all servers are one cluster. */
function natsConfig(urls: URL[], creds: string | undefined, ca: string | undefined): NatsOptions {
  const { username = '', password = '' } = urls.find((url) => url.username !== '') ?? {}
  const login =
    password === ''
      ? { token: decodeURIComponent(username) }
      : { user: decodeURIComponent(username), pass: decodeURIComponent(password) }
  const isSecure = ca !== undefined || urls.some((url) => url.protocol === 'tls:')
  return {
    servers: urls.map((url) => `${url.hostname}:${url.port || 4222}`),
    ...(username !== '' && login),
    ...(creds !== undefined && { creds }),
    ...(isSecure && { tls: { ...(ca !== undefined && { ca }) } }),
  }
}
