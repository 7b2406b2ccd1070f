import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import { Database } from '../src/store/database.ts'
import { startGateway } from './support/gateway.ts'
import { Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { answer, endless, PushService, type SubscribedBrowser, silent } from './support/push-service.ts'
import { until } from './support/wait.ts'

/** What Firefox calls itself: it is sent pushes that show nothing. */
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
const GRACE_MS = 100
const SHOWN_MS = 1_000

let postgres: TestPostgres
let gateway: Gateway
const alarms: string[] = []

beforeAll(async () => {
  postgres = await startPostgres()
  const log = pino({ level: 'error' }, { write: (line) => void alarms.push(JSON.parse(line).msg) })
  const push = { graceMs: GRACE_MS, allowPrivate: true }
  gateway = await startGateway(postgres.url, { push }, { log, push: { shownMs: SHOWN_MS } })
})
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

/** Two people, and the browser of the second one. A push service of their own lest others' faults count against it. */
async function pair(service: PushService, agent?: string) {
  const [alice, bob] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
  const browser = await service.browserOf(bob, agent)
  return { alice, bob, browser, conversation: await alice.direct(bob) }
}

const metric = async (name: string) => {
  const text = await (await fetch(`${gateway.url}/metrics`)).text()
  return Number(new RegExp(`^longwave_push_${name}_total{node="[^"]+"} (\\d+)$`, 'm').exec(text)?.[1])
}

const arrived = async (browser: SubscribedBrowser, count: number) => {
  await until(`${count} pushes`, () => browser.pushes.length >= count)
  return browser.pushes
}

test('a message is pushed, encrypted and signed, to a push service that checks both', async () => {
  await using service = await PushService.start()
  const { alice, bob, browser, conversation } = await pair(service)
  const accepted = await metric('accepted')
  await alice.send(conversation, 'hello')
  const [push] = await arrived(browser, 1)
  const name = alice.session.user.display_name
  expect(push?.payload).toEqual({
    ...{ type: 'message', conversation_id: conversation, title: name, sender: name, preview: 'hello' },
    ...{ unread_count: 1, mention_count: 0 },
  })
  expect(push?.headers).toMatchObject({ urgency: 'high', topic: expect.stringMatching(/^[\w-]{22}$/) })
  expect(service.flaws).toEqual([])
  await until('it to be counted', async () => (await metric('accepted')) > accepted)
  // Not Firefox: nothing is taken back.
  await bob.call('PUT', `/v1/conversations/${conversation}/read`, { seq: 1 })
  await alice.send(conversation, 'again')
  expect((await arrived(browser, 2)).map(({ payload }) => payload.preview)).toEqual(['hello', 'again'])
})

test('Firefox is told to take back what was read, after a while and three times between two visits', async () => {
  await using service = await PushService.start()
  const { alice, bob, browser, conversation } = await pair(service, FIREFOX)
  const elsewhere = await bob.anotherDevice()
  const others = await Promise.all([1, 2, 3].map(() => alice.group([bob])))
  const conversations = [conversation, ...others]
  for (const id of conversations) await alice.send(id, 'hello')
  await arrived(browser, 4)
  for (const id of conversations) await elsewhere.call('PUT', `/v1/conversations/${id}/read`, { seq: 1 })
  const pushes = await arrived(browser, 7)
  const taken = pushes.slice(4)
  expect(taken.map(({ payload }) => payload.type)).toEqual(['read', 'read', 'read'])
  for (const { payload, at } of taken) {
    const shown = pushes.find((each) => each.payload.conversation_id === payload.conversation_id)
    expect(at - (shown?.at ?? 0)).toBeGreaterThanOrEqual(SHOWN_MS)
  }
  // The fourth stays, and the next message comes.
  await alice.send(conversation, 'again')
  expect((await arrived(browser, 8)).at(-1)?.payload).toMatchObject({ type: 'message', preview: 'again' })
})

test('what a push service refuses for now comes again, not before it asks for that', async () => {
  await using service = await PushService.start()
  const { alice, browser, conversation } = await pair(service)
  browser.next.push(answer(429, { 'Retry-After': '2' }), answer(500))
  await alice.send(conversation, 'hello')
  const [first, second, third] = await arrived(browser, 3)
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(2_000)
  expect((third?.at ?? 0) - (second?.at ?? 0)).toBeGreaterThan(1_000)
})

test('what was to come again in an hour comes at once where the browser subscribes anew', async () => {
  await using service = await PushService.start()
  await using database = new Database({ url: postgres.url, maxConnections: 1 })
  const { alice, bob, browser, conversation } = await pair(service)
  browser.next.push(answer(429, { 'Retry-After': '3600' }))
  await alice.send(conversation, 'hello')
  await until('it to be put off', async () => {
    const rows = await database.sql`SELECT 1 FROM pushes WHERE user_id = ${bob.id} AND tries <> '{}'`
    return rows.length === 1
  })
  const [push] = await arrived(await service.browserOf(bob), 1)
  expect(push?.payload.preview).toBe('hello')
})

test('a push service that says to come again at once, or in the past, is not rushed', async () => {
  await using service = await PushService.start()
  const pairs = await Promise.all([pair(service), pair(service)])
  for (const [index, at] of ['0', 'Sat, 21 Nov 2020 08:00:00 GMT'].entries()) {
    const one = pairs[index]
    if (one) one.browser.always = answer(503, { 'Retry-After': at })
    await one?.alice.send(one.conversation, 'hello')
  }
  for (const { browser } of pairs) {
    const [first, second, third] = await arrived(browser, 3)
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(400)
    expect((third?.at ?? 0) - (second?.at ?? 0)).toBeGreaterThan(1_000)
  }
})

test('a single failure of each of many at one push service silences it for nobody', async () => {
  await using service = await PushService.start()
  const alice = await Person.signUp(gateway.url)
  const people = await Promise.all(Array.from({ length: 20 }, () => Person.signUp(gateway.url)))
  const browsers = await Promise.all(people.map((person) => service.browserOf(person)))
  for (const { next } of browsers) next.push(answer(500))
  await alice.send(await alice.group(people), 'hello')
  const attempts = await Promise.all(browsers.map((browser) => arrived(browser, 2)))
  for (const [first, second] of attempts) {
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(400)
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeLessThan(8_000)
  }
})

test('what is too large comes shorter, and a body without end is an answer', async () => {
  await using service = await PushService.start()
  const { alice, browser, conversation } = await pair(service)
  browser.next.push(answer(413), answer(413), endless(201))
  await alice.send(conversation, 'long '.repeat(2_000))
  const lengths = (await arrived(browser, 3)).map(({ payload }) => payload.preview?.length ?? 0)
  expect(lengths).toEqual([241, 61, 0])
  const other = await pair(service)
  await other.alice.send(other.conversation, 'marker')
  await arrived(other.browser, 1)
  expect(browser.pushes).toHaveLength(3)
})

test('a subscription that has ended is forgotten, and a redirect leads nowhere', async () => {
  await using service = await PushService.start()
  const [ended, led] = [await pair(service), await pair(service)]
  const trap = service.subscribe(ended.browser.vapidPublicKey)
  ended.browser.next.push(answer(410))
  led.browser.next.push(answer(307, { Location: trap.endpoint }))
  await Promise.all([ended, led].map(({ alice, conversation }) => alice.send(conversation, 'hello')))
  await Promise.all([arrived(ended.browser, 1), arrived(led.browser, 1)])
  await ended.bob.call('PUT', `/v1/conversations/${ended.conversation}/read`, { seq: 1 })
  await ended.alice.send(ended.conversation, 'again')
  const other = await pair(service)
  await other.alice.send(other.conversation, 'marker')
  await arrived(other.browser, 1)
  expect([ended.browser, led.browser, trap].map(({ pushes }) => pushes.length)).toEqual([1, 1, 0])
})

test('a push service that refuses the keys raises an alarm; one that is not there does not', async () => {
  const away = await PushService.start()
  const gone = await pair(away)
  await away[Symbol.asyncDispose]()
  const retried = await metric('retried')
  await gone.alice.send(gone.conversation, 'hello')
  await until('an attempt', async () => (await metric('retried')) > retried)
  expect(alarms).toEqual([])
  expect(await metric('unauthorized')).toBe(0)
  await using service = await PushService.start()
  const { alice, browser, conversation } = await pair(service)
  browser.next.push(answer(403))
  await alice.send(conversation, 'hello')
  await until('the alarm', () => alarms.length > 0)
  expect(alarms).toEqual([expect.stringMatching(/^The push service refuses our keys/)])
  expect(await metric('unauthorized')).toBe(1)
})

test('a push service that never answers holds up nobody at another one', async () => {
  await using slow = await PushService.start()
  await using quick = await PushService.start()
  const alice = await Person.signUp(gateway.url)
  const sleepers = await Promise.all(Array.from({ length: 150 }, () => Person.signUp(gateway.url)))
  await Promise.all(
    sleepers.map(async (person) => {
      const browser = await slow.browserOf(person)
      browser.always = silent
    }),
  )
  const group = await alice.group(sleepers.slice(0, 90))
  const more = await alice.group(sleepers.slice(90))
  const reader = await pair(quick)
  await Promise.all([alice.send(group, 'hello'), alice.send(more, 'hello')])
  await until('the slow one to be busy', () => slow.connections >= 100)
  const began = Date.now()
  await reader.alice.send(reader.conversation, 'hello')
  const [push] = await arrived(reader.browser, 1)
  expect((push?.at ?? 0) - began).toBeLessThan(2_000)
}, 30_000)
