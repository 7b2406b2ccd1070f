import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import type { ProviderConfig } from '../src/config.ts'
import type { User } from '../src/protocol/types.ts'
import { Database } from '../src/store/database.ts'
import { ADMIN_TOKEN, BackEnd } from './support/back-end.ts'
import { startGateway } from './support/gateway.ts'
import { AUDIENCE, ISSUER, TestProvider } from './support/identity-provider.ts'
import { type Answer, call, Person, type Poll } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { expectProblem } from './support/problem.ts'
import { openStream } from './support/stream.ts'
import { until } from './support/wait.ts'

let postgres: TestPostgres
let provider: TestProvider
let gateway: Gateway
let elsewhere: Gateway

const trust = (key: ProviderConfig['key']) => ({ issuer: ISSUER, audience: AUDIENCE, key })

beforeAll(async () => {
  postgres = await startPostgres()
  provider = await TestProvider.start()
  const config = { provider: trust({ jwksUrl: provider.url }), adminToken: ADMIN_TOKEN }
  gateway = await startGateway(postgres.url, config)
  elsewhere = await startGateway(postgres.url, config)
})

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]()
  await elsewhere?.[Symbol.asyncDispose]()
  await provider?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const me = (token: string, headers: Record<string, string> = {}, base = gateway.url) =>
  call<User>(base, 'GET', '/v1/users/me', { headers: { ...bearer(token), ...headers } })
const stream = (token: string, query = '', headers: Record<string, string> = {}, base = gateway.url) =>
  openStream(`${base}/v1/events?as=sse&${query}`, { ...bearer(token), ...headers })
const devicesOf = async (token: string, headers: Record<string, string> = {}) => {
  const given = { headers: { ...bearer(token), ...headers } }
  type Devices = { sessions: { device_id: string; current: boolean }[] }
  const { body } = await call<Devices>(gateway.url, 'GET', '/v1/sessions', given)
  return body.sessions
}
const seconds = () => Math.floor(Date.now() / 1_000)

describe('a token of the identity provider', () => {
  test('may be good for ever, and older than time', async () => {
    const headers = bearer(await provider.token({ sub: 'eternal', iat: -1e15, exp: 1e15 }))
    const ticket = await call<{ ticket: string }>(gateway.url, 'POST', '/v1/stream-tickets', { headers })
    expect(ticket.status, ticket.text).toBe(201)
    using events = await openStream(`${gateway.url}/v1/events?as=sse&ticket=${ticket.body.ticket}`, {})
    await events.waitForFrame('heartbeat')
  })

  test('is a user: made at first sight, with its name, and an inbox', async () => {
    const token = await provider.token({ sub: 'auth0|anna', name: 'Anna Ångström' })
    const { status, body } = await me(token)
    expect([status, body]).toEqual([
      200,
      {
        ...{ id: 'auth0|anna', username: null, display_name: 'Anna Ångström', data: {} },
        created_at: expect.stringMatching(/Z$/),
      },
    ])
    using events = await stream(token)
    await events.waitForFrame('heartbeat')
    const local = await Person.signUp(gateway.url)
    const made = await local.call('POST', '/v1/conversations', { kind: 'direct', members: ['auth0|anna'] })
    await local.send(String(made.body.id), 'hello')
    expect(await events.waitForTexts(1)).toEqual(['hello'])
    // All at once, on all nodes: one user.
    const many = await provider.token({ sub: 'many' })
    const bases = [gateway.url, elsewhere.url]
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => me(many, { 'x-device-id': `d${n % 4}` }, bases[n % 2])),
    )
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers[0]?.body).toMatchObject({ id: 'many', display_name: 'many' })
  })

  test('is written down once, not with each request', async () => {
    const token = await provider.token({ sub: 'quiet', name: 'Quiet' })
    await me(token)
    await using database = new Database({ url: postgres.url })
    const version = async () => {
      const [row] = await database.sql`
        SELECT u.xmin::text || d.xmin::text AS v FROM users u JOIN devices d ON d.user_id = u.id WHERE u.id = 'quiet'`
      return row?.v
    }
    const before = await version()
    for (let n = 0; n < 5; n += 1) await me(token)
    await me(await provider.token({ sub: 'quiet', name: 'Quiet', jti: 'another' }))
    expect(await version()).toBe(before)
  })

  test('brings a new name, but no old one back, nor one that its user has changed', async () => {
    const named = (name: string | undefined, iat: number) => provider.token({ sub: 'renamed', name, iat })
    const now = seconds()
    const name = async (token: string) => (await me(token)).body.display_name
    const first = await named('First', now - 100)
    expect(await name(first)).toBe('First')
    expect(await name(await named('Second', now - 50))).toBe('Second')
    expect(await name(first)).toBe('Second')
    expect(await name(await named('First', now - 101))).toBe('Second')
    expect(await name(await named(undefined, now - 40))).toBe('Second')
    const token = await named('Second', now - 30)
    const body = { display_name: 'My own' }
    await call(gateway.url, 'PATCH', '/v1/users/me', { headers: bearer(token), body })
    expect(await name(await named('Second', now - 20))).toBe('My own')
    expect(await name(await named('Third', now - 10))).toBe('Third')
    expect(await name(await named(`\0${'🦆'.repeat(200)}`, now))).toBe('🦆'.repeat(128))
  })

  test('makes no more than a hundred devices, however many are named', async () => {
    const token = await provider.token({ sub: 'many devices' })
    for (let n = 0; n < 103; n += 1) await me(token, { 'x-device-id': `d${n}` })
    const devices = await devicesOf(token, { 'x-device-id': 'd102' })
    expect(devices).toHaveLength(100)
    expect(devices.filter((device) => device.current)).toHaveLength(1)
  })

  test('is of the device in its claim, else the header, else the query, else the default one', async () => {
    const plain = await provider.token({ sub: 'devices' })
    const claimed = await provider.token({ sub: 'devices', device_id: 'claimed' })
    const current = async (token: string, headers = {}, query = '') => {
      const given = { headers: { ...bearer(token), ...headers } }
      type Devices = { sessions: { device_id: string; current: boolean }[] }
      const { body } = await call<Devices>(gateway.url, 'GET', `/v1/sessions${query}`, given)
      return body.sessions.find((each) => each.current)?.device_id
    }
    const header = { 'x-device-id': 'headed' }
    expect(await current(claimed, header, '?device_id=asked')).toBe('claimed')
    expect(await current(plain, header, '?device_id=asked')).toBe('headed')
    expect(await current(plain, {}, '?device_id=asked')).toBe('asked')
    expect(await current(plain)).toBe('default')
    expect(await devicesOf(plain)).toHaveLength(4)
    expectProblem(await me(plain, { 'x-device-id': 'x'.repeat(129) }), 422, 'validation_failed')

    // Each device has its own cursor.
    const poll = (query: string) =>
      call<Poll>(gateway.url, 'GET', `/v1/events?as=poll&wait=0&${query}`, { headers: bearer(plain) })
    const sender = await Person.signUp(gateway.url)
    const { body } = await sender.call('POST', '/v1/conversations', { kind: 'direct', members: ['devices'] })
    await sender.send(String(body.id), 'hello')
    const read = await poll('device_id=one&after=0')
    expect(read.body.events).toHaveLength(2)
    await poll(`device_id=one&after=${read.body.cursor}`)
    await poll(`device_id=two&after=${read.body.cursor.replace(/\d+$/, '1')}`)
    expect((await poll('device_id=one')).body.events).toEqual([])
    expect((await poll('device_id=two')).body.events).toHaveLength(1)
  })

  test.each([
    ['expired', { exp: 1 }, 'token_expired'],
    ['of another audience', { aud: 'other' }, 'token_invalid'],
    ['without an audience', { aud: undefined }, 'token_invalid'],
    ['without an end', { exp: undefined }, 'token_invalid'],
    ['of nobody', { sub: undefined }, 'token_invalid'],
    ['of "me"', { sub: 'me' }, 'token_invalid'],
    ['of a NUL', { sub: 'a\0b' }, 'token_invalid'],
    ['of too long an id', { sub: 'x'.repeat(129) }, 'token_invalid'],
    ['not good yet', { nbf: 9_999_999_999 }, 'token_invalid'],
    ['of another issuer', { iss: 'https://else.example.org' }, 'token_invalid'],
    ['with a device that is none', { device_id: 7 }, 'token_invalid'],
  ])('that is %s is refused', async (_, claims, code) => {
    expectProblem(await me(await provider.token({ sub: 'refused', ...claims })), 401, code)
  })

  test('is taken for a few seconds more: clocks differ', async () => {
    expect((await me(await provider.token({ sub: 'late', exp: seconds() - 2 }))).status).toBe(200)
    expect((await me(await provider.token({ sub: 'early', nbf: seconds() + 2 }))).status).toBe(200)
    const late = await provider.token({ sub: 'late', exp: seconds() - 20 })
    expectProblem(await me(late), 401, 'token_expired')
  })

  test('that somebody else signed is refused, whatever algorithm it names', async () => {
    const good = await provider.token({ sub: 'victim' })
    const [head = '', payload = '', signature = ''] = good.split('.')
    const jwks = await (await fetch(provider.url)).text()
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'victim', exp: seconds() + 900 }
    const forged = [
      `${head}.${payload}.${signature.slice(0, -4)}AAAA`,
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`,
      // Signed with the public key as if it were a secret.
      await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'first' }).sign(Buffer.from(jwks)),
      'x.y.z',
    ]
    for (const token of forged) expectProblem(await me(token), 401, 'token_invalid')
  })

  test('ends its streams when it ends, those by ticket too', async () => {
    const token = await provider.token({ sub: 'short', exp: seconds() + 4 })
    const given = { headers: bearer(token) }
    const { body } = await call(gateway.url, 'POST', '/v1/stream-tickets', given)
    const ways = [
      await stream(token),
      await openStream(`${gateway.url}/v1/events?as=sse&ticket=${body.ticket}`, {}),
    ]
    const began = performance.now()
    for (const events of ways) {
      await events.waitForEnd()
      expect(events.named('bye')[0]?.data).toContain('"reason":"token_expired"')
    }
    expect(performance.now() - began).toBeLessThan(6_000)
    expect(performance.now() - began).toBeGreaterThan(1_500)
  })
})

describe('keys', () => {
  test('that are new are found when a token names one', async () => {
    await provider.rotate('second', 'ES256')
    const token = await provider.token({ sub: 'rotated' })
    await until('the new key', async () => (await me(token)).status === 200)
    const asked = provider.requests
    for (let n = 0; n < 20; n += 1) await me(await provider.token({ sub: 'rotated' }, { kid: `none-${n}` }))
    expect(provider.requests - asked).toBeLessThan(4)
  })

  test('that cannot be read: 503, never 500; those known hold on', async () => {
    const { url } = provider
    const fresh = () => startGateway(postgres.url, { provider: trust({ jwksUrl: url }) })
    const token = await provider.token({ sub: 'away' })
    expect((await me(token)).status).toBe(200)
    const comeBack = await provider.goAway()
    try {
      await using blind = await fresh()
      const refused = expectProblem(await me(token, {}, blind.url), 503, 'unavailable')
      expect(refused.detail).toContain('identity provider')
      const events = await openStream(`${blind.url}/v1/events?as=sse`, bearer(token))
      await events.waitForEnd()
      expect(events.named('bye')[0]?.data).toContain('unavailable')
      expect((await me(await provider.token({ sub: 'away', jti: '2' }))).status).toBe(200)
      await comeBack()
      expect((await me(token, {}, blind.url)).status).toBe(200)
    } finally {
      if (!(await fetch(url).catch(() => undefined))) await comeBack()
    }
    for (const broken of ['answers 500', 'answers nonsense'] as const) {
      await using blind = await fresh()
      provider.broken = broken
      expectProblem(await me(token, {}, blind.url), 503, 'unavailable')
      provider.broken = undefined
      expect((await me(token, {}, blind.url)).status).toBe(200)
    }
  })

  test('may be one secret', async () => {
    const secret = 'a secret of at least 32 characters!'
    await using node = await startGateway(postgres.url, { provider: trust({ secret }) })
    const sign = (alg: string, by = secret) =>
      new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: 'shared', exp: seconds() + 60 })
        .setProtectedHeader({ alg })
        .sign(Buffer.from(by))
    expect((await me(await sign('HS256'), {}, node.url)).body.id).toBe('shared')
    const longer = await sign('HS512', secret.repeat(3))
    expectProblem(await me(longer, {}, node.url), 401, 'token_invalid')
    expectProblem(await me(await sign('HS256', 'x'.repeat(32)), {}, node.url), 401, 'token_invalid')
    const own = await Person.signUp(node.url)
    expect((await own.call('GET', '/v1/users/me')).status).toBe(200)
  })
})

describe('a sign-out', () => {
  test('voids tokens issued before it, on every node; one issued since is good', async () => {
    const issued = (iat: number) => provider.token({ sub: 'leaver', iat })
    const old = await issued(seconds() - 10)
    using here = await stream(old)
    using there = await stream(old, '', {}, elsewhere.url)
    using other = await stream(old, 'device_id=other')
    await Promise.all([here, there, other].map((each) => each.waitForFrame('heartbeat')))
    const given = { headers: bearer(old) }
    expect((await call(gateway.url, 'DELETE', '/v1/sessions/current', given)).status).toBe(204)
    const fresh = await issued(seconds() + 1)
    // Opened where nobody has heard of the sign-out yet: it is not ended by it.
    using again = await stream(fresh, '', {}, elsewhere.url)
    await here.waitForEnd()
    await there.waitForEnd()
    expectProblem(await me(old), 401, 'signed_out')
    expectProblem(await me(old, {}, elsewhere.url), 401, 'signed_out')
    expectProblem(await me(await issued(seconds() - 9)), 401, 'signed_out')
    await using late = await startGateway(postgres.url, { provider: trust({ jwksUrl: provider.url }) })
    expectProblem(await me(old, {}, late.url), 401, 'signed_out')
    for (const base of [gateway.url, elsewhere.url, late.url])
      expect((await me(fresh, {}, base)).status).toBe(200)
    expect([other.ended, again.ended]).toEqual([false, false])
  })

  test('by the back end, of all devices, and of those erased for ever', async () => {
    const backEnd = new BackEnd(gateway.url)
    const token = await provider.token({ sub: 'gone', iat: seconds() - 5, name: 'Gone' })
    expect((await me(token)).status).toBe(200)
    await backEnd.call('DELETE', '/users/gone/sessions')
    expectProblem(await me(token), 401, 'signed_out')
    const next = await provider.token({ sub: 'gone', iat: seconds() + 1, name: 'Gone' })
    expect((await me(next)).body.display_name).toBe('Gone')
    await backEnd.call('DELETE', '/users/gone')
    expect((await me(next)).status).toBe(401)
    const fresh = await provider.token({ sub: 'gone', iat: seconds() + 60, name: 'Back' })
    for (const base of [gateway.url, elsewhere.url])
      expectProblem(await me(fresh, {}, base), 401, 'token_invalid')
    const local = await Person.signUp(gateway.url)
    const seen: Answer<User> = await local.call<User>('GET', '/v1/users/gone')
    expect(seen.body.display_name).toBe('Deleted user')
  })
})
