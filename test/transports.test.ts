import { setTimeout as pause } from 'node:timers/promises'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { Feed } from '../src/live/feed.ts'
import { HeldTransaction } from './support/held-transaction.ts'
import { call, Person, type Poll } from './support/person.ts'
import { openStream } from './support/stream.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { postgres, gateway } = useGateway()
let alice: Person
let bob: Person
let chat: string

beforeAll(async () => {
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
  chat = await alice.direct(bob)
})

/** The cursor at the head of bob's inbox. */
async function headOf(person: Person): Promise<string> {
  return (await person.readAll()).cursor
}

describe('a stream', () => {
  test('says hello at once and a heartbeat in a write of its own', async () => {
    using stream = await bob.stream()
    await stream.waitForFrame('heartbeat')
    expect(stream.response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      'content-encoding': 'identity',
    })
    expect(stream.response.headers['content-length']).toBeUndefined()
    const [hello, heartbeat] = stream.frames
    expect(hello).toMatchObject({ event: 'hello', retry: 2000 })
    expect(hello?.id).toBe(JSON.parse(hello?.data ?? '').cursor)
    expect(Object.keys(JSON.parse(hello?.data ?? ''))).toEqual(['cursor', 'head', 'heartbeat', 'node', 'at'])
    expect(heartbeat?.id).toBeUndefined()
    expect(stream.chunks.length).toBeGreaterThanOrEqual(2)
    expect(stream.chunks[0]).not.toContain('event: heartbeat')
  })

  test('in disguise has the same bytes under another type', async () => {
    using stream = await openStream(`${gateway.url}/v1/events?as=octet`, bob.authorization)
    expect(stream.response.headers['content-type']).toBe('application/octet-stream')
    await stream.waitForFrame('hello')
  })

  test('`as` wins over Accept', async () => {
    const headers = { ...bob.authorization, accept: 'text/event-stream' }
    const answer = await call<Poll>(gateway.url, 'GET', '/v1/events?as=poll&wait=0', { headers })
    expect(answer.headers.get('content-type')).toBe('application/json')
    using stream = await openStream(`${gateway.url}/v1/events`, headers)
    expect(stream.response.headers['content-type']).toBe('text/event-stream')
  })

  test('pads before anything else', async () => {
    using stream = await bob.stream('padding=2048')
    await stream.waitForFrame('hello')
    expect(stream.chunks.join('').indexOf('retry:')).toBe(2048)
  })

  test('beats after the silence asked for', async () => {
    using stream = await bob.stream('heartbeat=5')
    await until('a second heartbeat', () => stream.named('heartbeat').length === 2)
    const [first, second] = stream.named('heartbeat').map(({ data }) => Date.parse(JSON.parse(data).at))
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThan(4_500)
    expect((second ?? 0) - (first ?? 0)).toBeLessThan(7_000)
  })

  test('delivers log events with id and without a name, also with CR and LF in a text', async () => {
    using stream = await bob.stream()
    await stream.waitForFrame('heartbeat')
    const text = 'one\r\ntwo\n\ndata: three\rid: 4\u2028five'
    await alice.send(chat, text)
    expect(await stream.waitForTexts(1)).toEqual([text])
    const frame = stream.frames.at(-1)
    expect(frame?.event).toBeUndefined()
    expect(frame?.id).toMatch(/^[a-z0-9]+-\d+$/)
    expect(JSON.parse(frame?.data ?? '').id).toBe(Number(frame?.id?.split('-')[1]))
  })

  test('in slices ends after its events, or soon after the first', async () => {
    const after = await headOf(bob)
    for (let n = 0; n < 4; n += 1) await alice.send(chat, `slice ${n}`)
    using two = await bob.stream(`after=${after}&limit=2`)
    await two.waitForEnd()
    expect(two.texts()).toEqual(['slice 0', 'slice 1'])
    using rest = await bob.stream(`after=${two.lastEventId}&limit=500`)
    await rest.waitForEnd()
    expect(rest.texts()).toEqual(['slice 2', 'slice 3'])
  })

  test('Last-Event-ID wins over after, which wins over the stored cursor', async () => {
    const device = await bob.anotherDevice()
    const start = await headOf(device)
    await alice.send(chat, 'a')
    const middle = await headOf(device)
    await alice.send(chat, 'b')
    await device.call('PUT', '/v1/devices/current/cursor', { cursor: start })
    using stored = await device.stream()
    await stored.waitForTexts(2)
    using asked = await device.stream(`after=${start}`, { 'last-event-id': middle })
    expect(await asked.waitForTexts(1)).toEqual(['b'])
  })

  test('without any cursor begins at the head', async () => {
    const device = await alice.anotherDevice()
    using stream = await device.stream()
    const hello = JSON.parse((await stream.waitForFrame('hello')).data)
    expect(hello.cursor).toBe(hello.head)
    expect(hello.cursor).toBe(await headOf(alice))
  })
})

describe('a poll', () => {
  test('answers at once with wait=0, in one piece', async () => {
    const answer = await bob.poll(`wait=0&after=${await headOf(bob)}`)
    expect(answer.body).toEqual({ cursor: expect.any(String), events: [], has_more: false })
    expect(answer.headers.get('content-length')).toBe(String(answer.text.length))
    expect(answer.headers.get('cache-control')).toBe('private, no-store')
  })

  test('waits for the next event', async () => {
    const after = await headOf(bob)
    const waiting = bob.poll(`wait=20&after=${after}`)
    await alice.send(chat, 'awaited')
    const { body } = await waiting
    expect(body.events.map((event) => event.message?.text)).toEqual(['awaited'])
    expect(body.cursor).not.toBe(after)
  })

  test('leaves the cursor as it is when nothing comes', async () => {
    const after = await headOf(bob)
    const { body } = await bob.poll(`wait=1&after=${after}`)
    expect(body).toEqual({ cursor: after, events: [], has_more: false })
  })

  test('ends early at 48 KB and says so', async () => {
    const after = await headOf(bob)
    const text = 'ü'.repeat(3_000)
    for (let n = 0; n < 12; n += 1) await alice.send(chat, text)
    const { body, text: raw } = await bob.poll(`wait=0&after=${after}`)
    expect(Buffer.byteLength(raw)).toBeLessThanOrEqual(48 * 1024)
    expect(body.has_more).toBe(true)
    expect((await bob.readAll(after)).events).toHaveLength(12)
  })

  test('takes its fields from a POST body too', async () => {
    const answer = await bob.call<Poll>('POST', '/v1/events', { as: 'poll', wait: 0, after: '0', limit: 1 })
    expect(answer.body.events).toHaveLength(1)
    expect(answer.body.has_more).toBe(true)
  })

  test('acknowledges the cursor that it asks with, for its device', async () => {
    const device = await bob.anotherDevice()
    const after = await headOf(device)
    await device.poll(`wait=0&after=${after}`)
    await alice.send(chat, 'behind the stored cursor')
    const texts = await until('the stored cursor', async () => {
      const { body } = await device.poll('wait=0')
      return body.events.length > 0 && body.events.map((event) => event.message?.text)
    })
    expect(texts).toEqual(['behind the stored cursor'])
  })
})

describe('P3 any change of transport', () => {
  test('neither loses nor repeats an event', async () => {
    const sender = await Person.signUp(gateway.url)
    const reader = await Person.signUp(gateway.url)
    const conversation = await sender.direct(reader)
    let cursor = (await reader.readAll()).cursor
    const total = 120
    const sending = (async () => {
      for (let n = 0; n < total; n += 1) await sender.send(conversation, String(n))
    })()
    const got: string[] = []
    const ways = ['sse', 'octet', 'slice', 'long-poll', 'poll', 'header']
    for (let turn = 0; got.length < total; turn += 1) {
      const way = ways[turn % ways.length]
      if (way === 'long-poll' || way === 'poll') {
        const { body } = await reader.poll(`wait=${way === 'poll' ? 0 : 5}&limit=7&after=${cursor}`)
        got.push(...body.events.map((event) => event.message?.text ?? ''))
        cursor = body.cursor
        continue
      }
      const as = way === 'octet' ? 'octet' : 'sse'
      const query = way === 'header' ? 'after=0' : `after=${cursor}${way === 'slice' ? '&limit=5' : ''}`
      const headers = way === 'header' ? { 'last-event-id': cursor } : {}
      using stream = await openStream(`${gateway.url}/v1/events?as=${as}&${query}`, {
        ...reader.authorization,
        ...headers,
      })
      await until('something', () => stream.events.length > 0 || stream.ended)
      got.push(...stream.texts())
      cursor = stream.lastEventId
    }
    await sending
    expect(got).toEqual(Array.from({ length: total }, (_, n) => String(n)))
  })

  test('a stream cut right after hello resumes where it began', async () => {
    const after = await headOf(bob)
    await alice.send(chat, 'not yet seen')
    const stream = await bob.stream(`after=${after}`)
    const { id = '' } = await stream.waitForFrame('hello')
    stream[Symbol.dispose]()
    expect(id).toBe(after)
    using resumed = await bob.stream('after=0', { 'last-event-id': id })
    expect(await resumed.waitForTexts(1)).toEqual(['not yet seen'])
  })
})

test('a poll whose caller left while it was being opened is not parked for nobody', async () => {
  const device = await bob.anotherDevice()
  const opening = vi.spyOn(Feed, 'open')
  await using lock = new HeldTransaction(
    postgres.url,
    (tx) => tx`LOCK TABLE inbox_heads IN ACCESS EXCLUSIVE MODE`,
  )
  await lock.held
  const gone = new AbortController()
  const asked = fetch(`${gateway.url}/v1/events?as=poll&wait=50`, {
    headers: device.authorization,
    signal: gone.signal,
  })
  asked.catch(() => {})
  await until('it to be opened', () => opening.mock.calls.length > 0)
  gone.abort()
  await pause(200)
  await lock.commit()
  const feed = await opening.mock.results[0]?.value
  opening.mockRestore()
  await pause(300)
  expect(feed.isLive).toBe(false)
})
