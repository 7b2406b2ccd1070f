import { pino } from 'pino'
import postgres from 'postgres'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { generateVAPIDKeys } from 'web-push'
import { ADMIN_TOKEN } from './support/back-end.ts'
import { DnsServer } from './support/dns-server.ts'
import { startGateway } from './support/gateway.ts'
import { call, Person, vapidKeyOf } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { PushService, type SubscribedBrowser } from './support/push-service.ts'
import { useGateway, useOtherGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const PATH = '/v1/devices/current/push-subscription'
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
const CHROME =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
const FIREFOX_ON_IOS =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/140.0 Mobile/15E148 Safari/605.1.15'

const { postgres: database, gateway } = useGateway({ adminToken: ADMIN_TOKEN, push: { allowPrivate: true } })
const strict = useOtherGateway(database)

let sql: postgres.Sql
let service: PushService
let vapidKey: string
let anna: Person
let browser: SubscribedBrowser

beforeAll(async () => {
  sql = postgres(database.url, { max: 1, onnotice: () => {} })
  service = await PushService.start()
  vapidKey = await vapidKeyOf(gateway.url)
})
afterAll(async () => {
  await sql?.end()
  await service?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  anna = await Person.signUp(gateway.url)
  browser = service.subscribe(vapidKey)
})

const rowsOf = (person: Person) => sql`SELECT * FROM push_subscriptions WHERE user_id = ${person.id}`
const put = (person: Person, body: unknown, headers = {}) => person.call('PUT', PATH, body, headers)

test('all nodes have one key, which they made, a point of P-256', async () => {
  expect(vapidKey).toMatch(/^B[\w-]{86}$/)
  expect(await vapidKeyOf(strict.url)).toBe(vapidKey)
})

test('a subscription is taken as the browser writes it, again and again', async () => {
  const json = browser.toJSON()
  for (let i = 0; i < 3; i += 1) expect((await put(anna, { ...json, extra: [1] })).status).toBe(204)
  expect(await rowsOf(anna)).toMatchObject([
    {
      device_id: anna.session.device_id,
      endpoint: json.endpoint,
      ...json.keys,
      vapid_public_key: vapidKey,
      silent: false,
    },
  ])
})

test('a device has one: the new one takes the place of the former', async () => {
  await put(anna, browser.toJSON())
  const next = service.subscribe(vapidKey)
  expect((await put(anna, next.toJSON())).status).toBe(204)
  expect(await rowsOf(anna)).toMatchObject([{ endpoint: next.endpoint }])
})

test('a browser has one: another account that signs in there takes it', async () => {
  const ben = await Person.signUp(gateway.url)
  await put(anna, browser.toJSON())
  expect((await put(ben, browser.toJSON())).status).toBe(204)
  expect([(await rowsOf(anna)).length, (await rowsOf(ben)).length]).toEqual([0, 1])
})

test('registered by many at once it is one of them that has it', async () => {
  const people = await Promise.all(Array.from({ length: 6 }, () => Person.signUp(gateway.url)))
  const answers = await Promise.all(people.map((person) => put(person, browser.toJSON())))
  expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(204))
  const rows = await sql`SELECT 1 FROM push_subscriptions WHERE endpoint = ${browser.endpoint}`
  expect(rows).toHaveLength(1)
})

test.each([
  [FIREFOX, true],
  [CHROME, false],
  [FIREFOX_ON_IOS, false],
  ['', false],
])('of %s a push that shows nothing is allowed: %s', async (agent, silent) => {
  await put(anna, browser.toJSON(), { 'user-agent': agent })
  expect(await rowsOf(anna)).toMatchObject([{ silent }])
})

describe('it ends', () => {
  beforeEach(async () => {
    expect((await put(anna, browser.toJSON())).status).toBe(204)
  })

  test('with DELETE, again and again', async () => {
    for (let i = 0; i < 2; i += 1) expect((await anna.call('DELETE', PATH)).status).toBe(204)
    expect(await rowsOf(anna)).toEqual([])
  })

  test('by a POST, where a proxy lets nothing else through', async () => {
    expect((await anna.call('POST', `${PATH}?_method=DELETE`)).status).toBe(204)
    expect(await rowsOf(anna)).toEqual([])
    expect((await anna.call('POST', `${PATH}?_method=PUT`, browser.toJSON())).status).toBe(204)
    expect(await rowsOf(anna)).toHaveLength(1)
  })

  test('with the device, and not with another one', async () => {
    const phone = await anna.anotherDevice()
    const other = service.subscribe(vapidKey)
    await put(phone, other.toJSON())
    await anna.call('DELETE', '/v1/sessions/current')
    expect(await rowsOf(anna)).toMatchObject([{ endpoint: other.endpoint }])
    expectProblem(await put(anna, browser.toJSON()), 401, 'signed_out')
  })

  test('with the user, whose export says where they are, and no secret', async () => {
    const created_at = (await rowsOf(anna))[0]?.created_at.toISOString()
    const path = `/v1/admin/users/${anna.id}`
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
    await anna.anotherDevice()
    const exported = await call(gateway.url, 'GET', `${path}/export`, { headers })
    const found = (exported.body.sessions as { push_subscription: unknown }[]).map(
      (each) => each.push_subscription,
    )
    expect(found).toHaveLength(2)
    expect(found).toContainEqual({ host: new URL(browser.endpoint).host, created_at })
    expect(found).toContain(null)
    expect(exported.text).not.toContain(new URL(browser.endpoint).pathname)
    expect((await call(gateway.url, 'DELETE', path, { headers })).status).toBe(202)
    expect(await rowsOf(anna)).toEqual([])
  })
})

test('a device that was signed out elsewhere just now cannot subscribe', async () => {
  // As on a node that has not heard of it yet.
  await sql`DELETE FROM devices WHERE user_id = ${anna.id}`
  expectProblem(await put(anna, browser.toJSON()), 401, 'signed_out')
})

describe('what is not a subscription is refused', () => {
  const good = () => browser.toJSON()
  const point = (change: (bytes: Buffer) => Buffer) =>
    change(Buffer.from(good().keys.p256dh, 'base64url')).toString('base64url')

  test.each<[string, string, () => unknown]>([
    ['no endpoint', 'endpoint', () => ({ keys: good().keys })],
    ['no keys', 'keys', () => ({ endpoint: good().endpoint })],
    ['keys in a list', 'keys', () => ({ ...good(), keys: [] })],
    ['a time that is a text', 'expirationTime', () => ({ ...good(), expirationTime: 'soon' })],
    ['no auth', 'keys.auth', () => ({ ...good(), keys: { p256dh: good().keys.p256dh } })],
    ['a short auth', 'keys.auth', () => ({ ...good(), keys: { ...good().keys, auth: 'AAAA' } })],
    ['a long auth', 'keys.auth', () => ({ ...good(), keys: { ...good().keys, auth: 'A'.repeat(44) } })],
    [
      'a point not on the curve',
      'keys.p256dh',
      () => ({ ...good(), keys: { ...good().keys, p256dh: point((bytes) => bytes.fill(1, 40)) } }),
    ],
    [
      'the point at nothing',
      'keys.p256dh',
      () => ({ ...good(), keys: { ...good().keys, p256dh: point((bytes) => bytes.fill(0, 1)) } }),
    ],
    [
      'a compressed point',
      'keys.p256dh',
      () => ({
        ...good(),
        keys: {
          ...good().keys,
          p256dh: point((bytes) => Buffer.concat([Buffer.from([2]), bytes.subarray(1, 33)])),
        },
      }),
    ],
    [
      'a long endpoint',
      'endpoint',
      () => ({ ...good(), endpoint: `https://a.example/${'a'.repeat(2_048)}` }),
    ],
  ])('%s', async (_, path, body) => {
    const { errors } = expectProblem(await put(anna, body()), 422, 'validation_failed')
    expect(errors).toMatchObject([{ path, message: expect.stringMatching(/^(must|is) /) }])
    expect(await rowsOf(anna)).toEqual([])
  })

  test('nobody', async () => {
    expectProblem(await call(gateway.url, 'PUT', PATH, { body: good() }), 401, 'unauthenticated')
  })
})

const NOT_PUBLIC = 'an https address of a push service on the public Internet'

test.each([
  ['http://push.example.org/x', 'this one is not an https address'],
  ['not an address', 'this one is not an https address'],
  ['https://a:b@push.example.org/x', 'this one contains credentials'],
  ['https://push.example.org:8443/x', 'this one is not at port 443'],
  ['https://127.0.0.1/x', NOT_PUBLIC],
  ['https://2130706433/x', NOT_PUBLIC],
  ['https://[::ffff:10.0.0.1]/x', NOT_PUBLIC],
  ['https://localhost/x', NOT_PUBLIC],
])('the endpoint %s is refused: %s', async (endpoint, reason) => {
  const body = { ...browser.toJSON(), endpoint }
  const { detail } = expectProblem(await put(anna.at(strict.url), body), 422, 'push_endpoint_refused')
  expect(detail).toBe(`Send the endpoint exactly as the browser gave it: ${reason}.`)
  expect(await rowsOf(anna)).toEqual([])
})

test('where hosts are given, another one is refused as that, whatever they are', async () => {
  await using node = await startGateway(database.url, { push: { allowedHosts: ['push.example.net:8443'] } })
  for (const endpoint of ['https://push.example.org/x', 'https://10.0.0.1/x', 'https://push.example.net/x']) {
    const answer = await put(anna.at(node.url), { ...browser.toJSON(), endpoint })
    const { detail } = expectProblem(answer, 422, 'push_endpoint_refused')
    expect(detail).toMatch(/: this one is not at a host that this gateway pushes to\.$/)
    expect(detail).not.toMatch(/example|PUSH_/)
  }
})

test('names are resolved: a private one is refused like one that is unknown and a private address, and a hanging name server is a 503', async () => {
  await using dns = await DnsServer.start({
    'push.example.org': () => ['203.0.114.7'],
    'inside.example.org': () => ['10.0.0.7'],
    'hanging.example.org': () => 'silence',
  })
  const resolver = dns.resolver({ timeout: 100, tries: 1 })
  await using node = await startGateway(database.url, {}, { push: { resolver } })
  const at = (name: string) =>
    put(anna.at(node.url), { ...browser.toJSON(), endpoint: `https://${name}.example.org/x` })
  expect((await at('push')).status).toBe(204)
  const inside = expectProblem(await at('inside'), 422, 'push_endpoint_refused')
  expect(expectProblem(await at('unknown'), 422, 'push_endpoint_refused')).toEqual(inside)
  expect(inside.detail).toContain(NOT_PUBLIC)
  expectProblem(await at('hanging'), 503, 'unavailable')
})

test('after a change of keys the start counts who is left behind, and such a browser has to subscribe anew', async () => {
  await put(anna, browser.toJSON())
  const lines: string[] = []
  const log = pino({ level: 'warn' }, { write: (line) => void lines.push(line) })
  const { publicKey, privateKey: vapidPrivateKey } = generateVAPIDKeys()
  await using node = await startGateway(
    database.url,
    { push: { vapidPrivateKey, allowPrivate: true } },
    { log },
  )
  const warning = await until('the warning', () => lines.find((line) => line.includes('VAPID')))
  expect(JSON.parse(warning).msg).toMatch(/^\d+ push subscriptions were made with another VAPID key than/)
  expect(await vapidKeyOf(node.url)).toBe(publicKey)
  const there = anna.at(node.url)
  expectProblem(await put(there, browser.toJSON()), 422, 'push_endpoint_refused')
  expect(await rowsOf(anna)).toMatchObject([{ vapid_public_key: vapidKey }])
  expect((await put(there, service.subscribe(publicKey).toJSON())).status).toBe(204)
  expect(await rowsOf(anna)).toMatchObject([{ vapid_public_key: publicKey }])
})
