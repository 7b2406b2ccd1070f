import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Database } from '../src/store/database.ts'
import { call, Person, type Poll } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { postgres, gateway } = useGateway()
let database: Database
let alice: Person
let bob: Person
let chat: string
let epoch: string
let head: number

beforeAll(async () => {
  database = new Database({ url: postgres.url, maxConnections: 1 })
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
  chat = await alice.direct(bob)
  for (let n = 0; n < 5; n += 1) await alice.send(chat, `message ${n}`)
  const [first = '', id] = (await bob.readAll()).cursor.split('-')
  epoch = first
  head = Number(id)
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
})

const acknowledge = (device: Person, cursor: string) =>
  device.call('PUT', '/v1/devices/current/cursor', { cursor })

/** Where a request without a cursor begins for a device: what it has acknowledged. */
async function storedCursor(device: Person): Promise<string> {
  using stream = await device.stream()
  return JSON.parse((await stream.waitForFrame('hello')).data).cursor
}

describe('a malformed cursor', () => {
  const malformed = () => [
    '-1',
    '5',
    '1.5',
    'null',
    `${epoch}--1`,
    `${epoch}-1.5`,
    `${epoch}-1e3`,
    `${epoch}-`,
    `${epoch}-0x1`,
    `${epoch}-01`,
    `${epoch}-1 `,
    `${epoch}-99999999999999999999999999`,
    'x'.repeat(3_000),
    '\u0000',
    '🙂',
  ]

  test('is 400 on a poll, on a stream, in a POST and in an acknowledgement', async () => {
    for (const cursor of malformed()) {
      const after = `after=${encodeURIComponent(cursor)}`
      const answers = [
        await bob.poll(`wait=0&${after}`),
        await bob.call('GET', `/v1/events?as=sse&${after}`),
        await bob.call('GET', `/v1/events?as=octet&limit=1&${after}`),
        await bob.call('POST', '/v1/events', { as: 'poll', wait: 0, after: cursor }),
        await bob.call('POST', '/v1/events', { as: 'sse', after: cursor }),
        await acknowledge(bob, cursor),
      ]
      for (const answer of answers) expectProblem(answer, 400, 'malformed_cursor')
    }
  })

  test('in Last-Event-ID is 400 even if `after` is good', async () => {
    for (const form of ['as=poll&wait=0', 'as=sse']) {
      const answer = await bob.call('GET', `/v1/events?${form}&after=0`, undefined, { 'last-event-id': '7' })
      expectProblem(answer, 400, 'malformed_cursor')
    }
  })
})

describe('a cursor that cannot be honoured', () => {
  const unknown = async () => [
    `${epoch}-${head + 1}`,
    `${epoch}-9007199254740991`,
    `${epoch}0-1`,
    'k3f9-1',
    (await alice.readAll()).cursor,
    `${(await alice.readAll()).cursor.split('-')[0]}-0`,
  ]

  test('is a reset to the head on a poll, which does not wait', async () => {
    for (const cursor of await unknown()) {
      for (const wait of [0, 55]) {
        const { status, body } = await bob.poll(`wait=${wait}&after=${cursor}`)
        expect(status).toBe(200)
        expect(body).toMatchObject({ reset: 'unknown', cursor: `${epoch}-${head}`, events: [] })
      }
      const posted = await bob.call<Poll>('POST', '/v1/events', { wait: 0, after: cursor })
      expect(posted.body).toMatchObject({ reset: 'unknown', cursor: `${epoch}-${head}`, events: [] })
    }
  })

  test('is a reset on a stream, which goes on from there', async () => {
    const sender = await Person.signUp(gateway.url)
    const reader = await Person.signUp(gateway.url)
    const other = await sender.direct(reader)
    await sender.send(other, 'before')
    const { cursor } = await reader.readAll()
    using stream = await reader.stream('', { 'last-event-id': await storedCursor(sender) })
    const reset = await stream.waitForFrame('reset')
    expect(reset.id).toBe(cursor)
    expect(JSON.parse(reset.data)).toEqual({ cursor, reason: 'unknown' })
    await sender.send(other, 'after')
    expect(await stream.waitForTexts(1)).toEqual(['after'])
    expect(stream.events[0]?.id).toBe(Number(cursor.split('-')[1]) + 1)
  })

  test('P5 acknowledges nothing, by whatever way it comes', async () => {
    const device = await bob.anotherDevice()
    const good = `${epoch}-2`
    expect((await acknowledge(device, good)).status).toBe(204)
    for (const cursor of await unknown()) {
      await device.poll(`wait=0&after=${cursor}`)
      using stream = await device.stream(`after=${cursor}`)
      await stream.waitForFrame('reset')
      expectProblem(await acknowledge(device, cursor), 422, 'cursor_unknown')
    }
    // Acknowledgements are written in order, so one that came of the above would be overtaken by this one.
    const marker = await bob.anotherDevice()
    await acknowledge(marker, `${epoch}-3`)
    expect(await storedCursor(device)).toBe(good)
  })

  test('P5 nor does an older one move the mark back', async () => {
    const device = await bob.anotherDevice()
    await acknowledge(device, `${epoch}-4`)
    await acknowledge(device, `${epoch}-1`)
    const { body } = await device.poll(`wait=0&after=${epoch}-0`)
    expect(body.events).toHaveLength(head)
    await acknowledge(await bob.anotherDevice(), `${epoch}-3`)
    expect(await storedCursor(device)).toBe(`${epoch}-4`)
  })

  test('a cursor that was not given but is the head is good, and waits', async () => {
    const { body } = await bob.poll(`wait=1&after=${epoch}-${head}`)
    expect(body).toEqual({ cursor: `${epoch}-${head}`, events: [], has_more: false })
  })

  test('is `expired` where the event after it is no longer kept', async () => {
    const sender = await Person.signUp(gateway.url)
    const reader = await Person.signUp(gateway.url)
    const other = await sender.direct(reader)
    for (let n = 0; n < 6; n += 1) await sender.send(other, `old ${n}`)
    await database.sql`DELETE FROM inbox WHERE user_id = ${reader.id} AND id <= 4`
    const own = (await reader.readAll()).cursor.split('-')[0]
    const now = `${own}-7`
    for (const id of [0, 1, 3]) {
      expect((await reader.poll(`wait=0&after=${own}-${id}`)).body).toMatchObject({
        reset: 'expired',
        cursor: now,
        events: [],
      })
      using stream = await reader.stream(`after=${own}-${id}`)
      const { data, id: cursor } = await stream.waitForFrame('reset')
      expect([cursor, JSON.parse(data)]).toEqual([now, { cursor: now, reason: 'expired' }])
    }
    const kept = await reader.poll(`wait=0&after=${own}-4`)
    expect(kept.body.events.map(({ id }) => id)).toEqual([5, 6, 7])
    const oldest = await reader.poll('wait=0&after=0')
    expect(oldest.body.events.map(({ id }) => id)).toEqual([5, 6, 7])
    await database.sql`DELETE FROM inbox WHERE user_id = ${reader.id}`
    expect((await reader.poll(`wait=0&after=${now}`)).body).toEqual({
      cursor: now,
      events: [],
      has_more: false,
    })
    expect((await reader.poll('wait=0&after=0')).body.cursor).toBe(now)
  })
})

describe('the other fields of /v1/events', () => {
  test.each([
    'wait=-1',
    'wait=56',
    'wait=0.5',
    'wait=x',
    'limit=0',
    'limit=501',
    'limit=1e2',
    'as=ws',
    'as=sse&heartbeat=4',
    'as=sse&heartbeat=51',
    'as=sse&padding=8193',
    'as=sse&padding=-1',
  ])('%s is 422', async (query) => {
    expectProblem(await bob.call('GET', `/v1/events?${query}`), 422, 'validation_failed')
  })

  test.each([
    ['text', 400, 'malformed_json'],
    ['[]', 422, 'validation_failed'],
    ['{"wait":"soon"}', 422, 'validation_failed'],
    ['{"wait":1.5}', 422, 'validation_failed'],
    ['{"after":{}}', 422, 'validation_failed'],
  ])('the body %s is %i', async (body, status, code) => {
    expectProblem(await bob.call('POST', '/v1/events', body), status, code)
  })

  test('unknown ones are ignored', async () => {
    const { status, body } = await bob.poll(`wait=0&_=1&x=%00&after=${epoch}-${head}`)
    expect([status, body.events]).toEqual([200, []])
  })

  test('an unanswered poll that its caller gave up costs nothing and loses nothing', async () => {
    const reader = await Person.signUp(gateway.url)
    const conversation = await alice.direct(reader)
    const { cursor } = await reader.readAll()
    const given = new AbortController()
    const parked = fetch(`${gateway.url}/v1/events?wait=55&after=${cursor}`, {
      headers: reader.authorization,
      signal: given.signal,
    })
    given.abort()
    await expect(parked).rejects.toThrow()
    await alice.send(conversation, 'still there')
    const { body } = await until('the event', async () => {
      const answer = await reader.poll(`wait=0&after=${cursor}`)
      return answer.body.events.length > 0 && answer
    })
    expect(body.events[0]?.message?.text).toBe('still there')
    expect((await call(gateway.url, 'GET', '/readyz')).status).toBe(200)
  })
})
