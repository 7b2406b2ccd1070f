import { expect, test } from 'vitest'
import { loadConfig } from './config.ts'

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
])('%j stops the start with one line that names the variable', (env, message) => {
  expect(() => loadConfig(env)).toThrow(message)
  expect(() => loadConfig(env)).not.toThrow(/\n|secret/)
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
