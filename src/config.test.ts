import { expect, test } from 'vitest'
import { loadConfig } from './config.ts'

// The example of RFC 8291.
const PRIVATE_KEY = 'yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw'
const PUBLIC_KEY = 'BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8'

test('the defaults of the protocol hold', () => {
  expect(loadConfig({})).toMatchObject({ port: 8080, host: '127.0.0.1', rateLimits: true, groupLimit: 100 })
})

test('an empty variable counts as not set', () => {
  expect(loadConfig({ PORT: '', DATABASE_URL: '' })).toMatchObject({ port: 8080, databaseUrl: undefined })
})

test.each([
  [{ PORT: '80a' }, 'PORT is "80a" but must be a whole number from 0 to 65535'],
  [{ PORT: '70000' }, 'PORT is "70000" but must be a whole number from 0 to 65535'],
  [{ WORKERS: '0' }, 'WORKERS is "0" but must be a whole number from 1 to 64'],
  [{ RATE_LIMITS: 'no' }, 'RATE_LIMITS is "no" but must be "on" or "off"'],
  [{ PUBLIC_URL: 'chat.example.org' }, 'PUBLIC_URL is "chat.example.org" but must be an origin'],
  [{ TRUSTED_PROXIES: '10.0.0.0/40' }, 'TRUSTED_PROXIES is "10.0.0.0/40" but must be addresses or ranges'],
  [{ DATABASE_URL: 'mysql://u:secret@h/d' }, 'DATABASE_URL must be an address such as postgres://'],
  [{ TLS_CERT: '/nowhere.pem' }, 'TLS_CERT must name a readable file'],
  [{ ADMIN_TOKEN: 'secret' }, 'ADMIN_TOKEN must have at least 32 characters'],
  [{ ADMIN_TOKEN: 'secret '.repeat(5) }, 'ADMIN_TOKEN must be visible ASCII characters'],
  [{ AUTH_JWT_SECRET: 'secret' }, 'AUTH_JWT_SECRET must have at least 32 characters'],
  [{ AUTH_JWKS_URL: 'id.example.org' }, 'AUTH_JWKS_URL is "id.example.org" but must be an address such as'],
  [{ AUTH_ISSUER: 'longwave', AUTH_AUDIENCE: 'a' }, 'AUTH_ISSUER is "longwave" but must be'],
  [{ AUTH_ISSUER: 'i', AUTH_AUDIENCE: 'a' }, 'AUTH_JWKS_URL or AUTH_JWT_SECRET is not set'],
  [{ AUTH_JWT_SECRET: 'secret'.repeat(9), AUTH_AUDIENCE: 'a' }, 'AUTH_ISSUER is not set'],
  [{ AUTH_JWKS_URL: 'https://id.example.org/keys', AUTH_ISSUER: 'i' }, 'AUTH_AUDIENCE is not set'],
  [{ AUTH_JWKS_URL: 'https://i.example', AUTH_JWT_SECRET: 'secret'.repeat(9) }, 'are both set'],
  [{ VAPID_PRIVATE_KEY: 'secret' }, 'VAPID_PRIVATE_KEY must be a P-256 private key'],
  [{ VAPID_PRIVATE_KEY: 'A'.repeat(43) }, 'VAPID_PRIVATE_KEY must be a P-256 private key'],
  [{ VAPID_PRIVATE_KEY: PRIVATE_KEY }, 'VAPID_PUBLIC_KEY is not set but VAPID_PRIVATE_KEY is'],
  [{ VAPID_PUBLIC_KEY: 'B' }, 'VAPID_PRIVATE_KEY is not set but VAPID_PUBLIC_KEY is'],
  [
    { VAPID_PUBLIC_KEY: 'B', VAPID_PRIVATE_KEY: PRIVATE_KEY },
    `VAPID_PUBLIC_KEY is "B" but must be "${PUBLIC_KEY}" to go with VAPID_PRIVATE_KEY`,
  ],
  [
    { VAPID_SUBJECT: 'admin@example.org' },
    'VAPID_SUBJECT is "admin@example.org" but must be one address such as',
  ],
  [{ VAPID_SUBJECT: 'http://example.org' }, 'VAPID_SUBJECT is "http://example.org" but must be one address'],
  ...[
    'mailto:',
    'mailto:a b@c.de',
    'mailto:<a@b.de>',
    'mailto:a@b.de,mailto:c@d.de',
    'mailto:a@b.de,c@d.de',
    'mailto:a@b.de?subject=push',
    'https://anna@example.org',
    'https://a.de, https://b.de',
    'https://a.de,https://b.de',
    'https://',
  ].map((subject): [NodeJS.ProcessEnv, string] => [
    { VAPID_SUBJECT: subject },
    `VAPID_SUBJECT is "${subject}" but must be one address such as`,
  ]),
  [
    { PUSH_ALLOWED_HOSTS: 'https://a.example' },
    'PUSH_ALLOWED_HOSTS is "https://a.example" but must be hosts',
  ],
  [{ PUSH_ALLOWED_HOSTS: 'a.example,*' }, 'PUSH_ALLOWED_HOSTS is "a.example,*" but must be hosts such as'],
  [{ PUSH_ALLOWED_HOSTS: 'a.b:0' }, 'PUSH_ALLOWED_HOSTS is "a.b:0" but must have ports from 1 to 65535'],
  [
    { PUSH_ALLOWED_HOSTS: 'a.b:99999' },
    'PUSH_ALLOWED_HOSTS is "a.b:99999" but must have ports from 1 to 65535',
  ],
  [{ PUSH_ALLOWED_HOSTS: ',' }, 'PUSH_ALLOWED_HOSTS is "," but must name at least one host, or be unset'],
  [{ PUSH_ALLOWED_HOSTS: ' ' }, 'PUSH_ALLOWED_HOSTS is " " but must name at least one host, or be unset'],
])('%j stops the start with one line that names the variable', (env, message) => {
  expect(() => loadConfig(env)).toThrow(message)
  expect(() => loadConfig(env)).not.toThrow(/\n|secret/)
})

test('an identity provider is its keys, issuer and audience', () => {
  const names = { AUTH_ISSUER: 'https://id.example.org/', AUTH_AUDIENCE: 'chat' }
  const provider = { issuer: 'https://id.example.org/', audience: 'chat' }
  const jwksUrl = 'https://id.example.org/keys'
  expect(loadConfig({ ...names, AUTH_JWKS_URL: jwksUrl }).provider).toEqual({ ...provider, key: { jwksUrl } })
  const secret = 'x'.repeat(32)
  expect(loadConfig({ ...names, AUTH_JWT_SECRET: secret }).provider).toEqual({ ...provider, key: { secret } })
  expect(loadConfig({}).provider).toBeUndefined()
})

test('keys for pushes are a pair, and hosts are compared in lower case', () => {
  const { push } = loadConfig({
    VAPID_PUBLIC_KEY: PUBLIC_KEY,
    VAPID_PRIVATE_KEY: PRIVATE_KEY,
    VAPID_SUBJECT: 'mailto:admin@example.org',
    PUSH_ALLOWED_HOSTS: 'Push.Example.org, *.example.net,a.example:8443',
  })
  expect(push).toEqual({
    graceMs: 5_000,
    previews: true,
    allowedHosts: ['push.example.org', '*.example.net', 'a.example:8443'],
    allowPrivate: false,
    vapidPrivateKey: PRIVATE_KEY,
    vapidSubject: 'mailto:admin@example.org',
  })
})

test('hosts for pushes are written as an endpoint shows them', () => {
  const allowedOf = (hosts: string) => loadConfig({ PUSH_ALLOWED_HOSTS: hosts }).push.allowedHosts
  expect(allowedOf('push.example.org:443')).toEqual(['push.example.org'])
  expect(allowedOf('*.example.org:443, a.example:08443,127.1')).toEqual([
    '*.example.org',
    'a.example:8443',
    '127.0.0.1',
  ])
})

test.each([
  ['MAILTO:Push.Admin+chat@example.org', 'mailto:Push.Admin+chat@example.org'],
  ['mailto:admin@chat.example.xn--p1ai', 'mailto:admin@chat.example.xn--p1ai'],
  ['HTTPS://example.org/@Admin', 'https://example.org/@Admin'],
  ['https://chat.example.org:8443', 'https://chat.example.org:8443'],
  ['mailto:admin@localhost', 'mailto:admin@localhost'],
])('VAPID_SUBJECT may be %s', (given, subject) => {
  expect(loadConfig({ VAPID_SUBJECT: given }).push.vapidSubject).toBe(subject)
})

test('lists are split and trimmed', () => {
  const config = loadConfig({
    CORS_ORIGINS: 'https://a.example, https://b.example/',
    TRUSTED_PROXIES: '::1,10.0.0.0/8',
  })
  expect([...config.corsOrigins]).toEqual(['https://a.example', 'https://b.example'])
  expect(config.trustedProxies).toEqual([
    { address: '::1', prefix: 128, family: 'ipv6' },
    { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
  ])
})
