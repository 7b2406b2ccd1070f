import { afterEach, describe, expect, test } from 'vitest'
import { type Chat, type ConnectOptions, connect, type InboxEvent, SendError } from '../src/client/client.ts'
import { Credentials } from '../src/client/credentials.ts'
import { Requests } from '../src/client/requests.ts'
import { memoryStorage } from '../src/client/storage.ts'
import type { Message } from '../src/protocol/types.ts'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'
import { TcpProxy } from './support/tcp-proxy.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()
const open: Chat[] = []

afterEach(() => {
  for (const chat of open.splice(0)) chat.close()
})

type Watched = { chat: Chat; events: InboxEvent[]; texts(): string[]; transports: string[] }

function join(person: Person, url: string, options: Partial<ConnectOptions> = {}): Watched {
  const chat = connect({ url, getToken: () => person.session.access_token, after: '0', ...options })
  open.push(chat)
  const [events, transports]: [InboxEvent[], string[]] = [[], []]
  chat.on('event', (event) => events.push(event))
  chat.on('status', ({ state, transport }) => transports.push(`${state} ${transport}`))
  const texts = () => events.flatMap(({ message }) => (message ? [(message as Message).text] : []))
  return { chat, events, texts, transports }
}

function expectWhole(events: InboxEvent[]): void {
  expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1))
}

async function pair() {
  const anna = await Person.signUp(gateway.url)
  const ben = await Person.signUp(gateway.url)
  return { anna, ben, conversation: await anna.direct(ben) }
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index}`)

describe('reading', () => {
  test('hands out what was there and what comes, once and in order, and settles on a stream', async () => {
    const { anna, ben, conversation } = await pair()
    await anna.send(conversation, 'before')
    const reader = join(ben, gateway.url)
    await until('the backlog', () => reader.texts().includes('before'))
    await until('the stream', () => reader.transports.includes('live sse'), 20_000)
    for (const text of numbers(50)) await anna.send(conversation, text)
    await until('all', () => reader.texts().length === 51)
    expect(reader.texts()).toEqual(['before', ...numbers(50)])
    expectWhole(reader.events)
    const { body } = await ben.poll('wait=0&after=0')
    expect(reader.chat.cursor).toBe(body.cursor)
  })

  test('a line that is cut again and again, and hangs, costs and doubles nothing', async () => {
    const { anna, ben, conversation } = await pair()
    await using proxy = await TcpProxy.before(gateway.url)
    const reader = join(ben, proxy.through(gateway.url))
    for (const [index, text] of numbers(60).entries()) {
      await anna.send(conversation, text)
      if (index % 6 === 0) proxy.resetAfter(() => Math.floor(Math.random() * 2_000))
      if (index % 15 === 7) proxy.cut()
      if (index % 15 === 11) proxy.restore()
      if (index === 40) proxy.hangSome(() => true)
    }
    proxy.restore()
    await until('all', () => reader.texts().length === 60, 25_000)
    expect(reader.texts()).toEqual(numbers(60))
    expectWhole(reader.events)
  })

  test('a stream that hangs while new connections pass is found out within ten seconds', async () => {
    const { anna, ben, conversation } = await pair()
    await using proxy = await TcpProxy.before(gateway.url)
    const reader = join(ben, proxy.through(gateway.url))
    await until('the stream', () => reader.transports.includes('live sse'), 20_000)
    proxy.hangSome(() => true)
    const since = performance.now()
    await anna.send(conversation, 'are you there')
    await until('the message', () => reader.texts().length === 1, 15_000)
    expect(performance.now() - since).toBeLessThan(13_000)
    expectWhole(reader.events)
  })

  test('a cursor that cannot be honoured is told, and reading goes on from where the listener says', async () => {
    const { anna, ben, conversation } = await pair()
    await anna.send(conversation, 'one')
    const start = (await ben.poll('wait=0&after=0')).body
    const reader = join(ben, gateway.url, { after: 'another1-7' })
    const resets: unknown[] = []
    reader.chat.on('reset', async (reset) => {
      resets.push(reset)
      return start.cursor.replace(/\d+$/, '0')
    })
    await until('the message', () => reader.texts().length === 1)
    expect(resets).toEqual([{ cursor: start.cursor, reason: 'unknown' }])
  })

  test('a token that is refused is renewed once, however many requests meet it', async () => {
    const { anna, ben, conversation } = await pair()
    const asked: unknown[] = []
    const reader = join(ben, gateway.url, {
      getToken: async (options) => {
        asked.push(options?.refresh)
        return options?.refresh ? ben.session.access_token : 'stale'
      },
    })
    const sent = await Promise.all([reader.chat.send(conversation, 'a'), reader.chat.send(conversation, 'b')])
    expect(sent.map(({ text }) => text)).toEqual(['a', 'b'])
    await anna.send(conversation, 'c')
    await until('all', () => reader.texts().length === 3)
    expect(asked).toEqual([false, true])
  })

  test('a runtime without readable bodies and EventSource reads by slices and polls', async () => {
    const { anna, ben, conversation } = await pair()
    const reader = join(ben, gateway.url, {
      fetch: async (url, init) => {
        const response = await fetch(url, init)
        return new Proxy(response, {
          get: (target, name) => {
            if (name === 'body') return undefined
            const value = Reflect.get(target, name, target)
            return typeof value === 'function' ? value.bind(target) : value
          },
        })
      },
    })
    for (const text of numbers(5)) await anna.send(conversation, text)
    await until('all', () => reader.texts().length === 5)
    expectWhole(reader.events)
  })
})

describe('sending', () => {
  test('what is sent while nothing gets through is committed once, in order, when something does', async () => {
    const { anna, ben, conversation } = await pair()
    await using proxy = await TcpProxy.before(gateway.url)
    const writer = join(ben, proxy.through(gateway.url))
    await until('live', () => writer.transports.length > 0)
    proxy.cut()
    const sent = Promise.all(numbers(5).map((text) => writer.chat.send(conversation, text)))
    expect(writer.chat.outbox.items.map(({ text }) => text)).toEqual(numbers(5))
    await until('offline', () => writer.transports.at(-1)?.startsWith('offline'))
    proxy.restore()
    expect((await sent).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5])
    expect(writer.chat.outbox.items).toEqual([])
    const { events } = await anna.readAll()
    expect(events.flatMap(({ message }) => (message ? [message.text] : []))).toEqual(numbers(5))
  })

  test('a request that is repeated goes over a connection of its own: pooled ones may be forgotten on the way', async () => {
    const { ben } = await pair()
    await using proxy = await TcpProxy.before(gateway.url)
    const credentials = new Credentials(() => ben.session.access_token)
    const requests = new Requests(proxy.through(gateway.url), credentials, fetch)
    await Promise.all(numbers(6).map(() => requests.json('/v1/users/me')))
    proxy.hangSome(() => true)
    const since = performance.now()
    expect(await requests.json('/v1/users/me', undefined, { isRetry: true })).toMatchObject({ ok: true })
    expect(performance.now() - since).toBeLessThan(5_000)
  })

  test('an answer that is lost on the way makes no second message', async () => {
    const { anna, ben, conversation } = await pair()
    let lost = 2
    const writer = join(ben, gateway.url, {
      fetch: async (url, init) => {
        const response = await fetch(url, init)
        if (init?.method === 'POST' && url.endsWith('/messages') && lost-- > 0) throw new TypeError('reset')
        return response
      },
    })
    const message = await writer.chat.send(conversation, 'once')
    expect(message.seq).toBe(1)
    expect((await anna.readAll()).events.filter(({ type }) => type === 'message.created')).toHaveLength(1)
  })

  test('a send on a connection that a NAT has forgotten is made again beside it, soon, and is one message', async () => {
    const { anna, ben, conversation } = await pair()
    await using proxy = await TcpProxy.before(gateway.url)
    proxy.hang()
    let posts = 0
    const writer = join(ben, gateway.url, {
      fetch: (url, init) => {
        const isFirst = init?.method === 'POST' && url.endsWith('/messages') && posts++ === 0
        return fetch(isFirst ? url.replace(gateway.url, proxy.through(gateway.url)) : url, init)
      },
    })
    const since = performance.now()
    expect((await writer.chat.send(conversation, 'once')).seq).toBe(1)
    expect(performance.now() - since).toBeLessThan(8_000)
    expect(posts).toBe(2)
    proxy.restore()
    expect((await anna.readAll()).events.filter(({ type }) => type === 'message.created')).toHaveLength(1)
  })

  test('what queues up for a conversation goes together, in order, and once though an answer is lost', async () => {
    const { anna, ben, conversation } = await pair()
    const posts: string[] = []
    const writer = join(ben, gateway.url, {
      fetch: async (url, init) => {
        const response = await fetch(url, init)
        if (init?.method === 'POST' && url.endsWith('/messages') && posts.push(url) === 2)
          throw new TypeError('reset')
        return response
      },
    })
    const sent = await Promise.all(numbers(30).map((text) => writer.chat.send(conversation, text)))
    expect(sent.map(({ seq }) => seq)).toEqual(numbers(30).map((text) => Number(text) + 1))
    expect(posts.length).toBeLessThanOrEqual(6)
    expect(posts.some((url) => url.endsWith('/v1/messages'))).toBe(true)
    const { events } = await anna.readAll()
    expect(events.flatMap(({ message }) => (message ? [message.text] : []))).toEqual(numbers(30))
  })

  test('of what goes together one that the server will not have fails alone, and says why', async () => {
    const { ben, conversation } = await pair()
    const writer = join(ben, gateway.url)
    const sends = ['first', 'second', '', 'third'].map((text) => writer.chat.send(conversation, text))
    const [first, second, empty, third] = await Promise.allSettled(sends)
    expect([first, second, third].map((each) => each?.status)).toEqual(Array(3).fill('fulfilled'))
    expect(empty).toMatchObject({ reason: { status: 422, code: 'validation_failed' } })
    expect(empty).not.toMatchObject({ reason: { message: '' } })
  })

  test('pages of a captive portal are not taken for answers', async () => {
    const { ben, conversation } = await pair()
    let portal = 3
    const writer = join(ben, gateway.url, {
      fetch: async (url, init) =>
        portal-- > 0
          ? new Response('<html>Welcome to our hotel</html>', { headers: { 'content-type': 'text/html' } })
          : fetch(url, init),
    })
    expect((await writer.chat.send(conversation, 'hello')).text).toBe('hello')
    await until('the event', () => writer.texts().includes('hello'))
  })

  test('what was unsent is sent by the next client with the same storage', async () => {
    const { ben, conversation } = await pair()
    await using proxy = await TcpProxy.before(gateway.url)
    const storage = memoryStorage()
    const url = proxy.through(gateway.url)
    proxy.cut()
    const before = join(ben, url, { storage })
    void before.chat.send(conversation, 'first')
    void before.chat.send(conversation, 'second')
    await until(
      'both stored',
      async () => (await storage.names('')).filter((name) => name.includes('outbox')).length >= 2,
    )
    before.chat.close()
    proxy.restore()
    const after = join(ben, url, { storage })
    await until('both', () => after.texts().length === 2)
    expect(after.texts()).toEqual(['first', 'second'])
    await until('an empty outbox', () => after.chat.outbox.items.length === 0)
  })

  test('what the server will not have fails for good, says why, and holds nothing up', async () => {
    const { ben, conversation } = await pair()
    const writer = join(ben, gateway.url)
    const refused = writer.chat.send(conversation, '')
    const error = await refused.catch((reason) => reason)
    expect(error).toBeInstanceOf(SendError)
    expect(error).toMatchObject({ status: 422, code: 'validation_failed' })
    expect((await writer.chat.send(conversation, 'fine')).seq).toBe(1)
    const [item] = writer.chat.outbox.items
    expect(item).toMatchObject({ text: '', failed: { code: 'validation_failed' } })
    await writer.chat.outbox.discard(item?.key ?? '')
    expect(writer.chat.outbox.items).toEqual([])
  })

  test('a message that is seen in the inbox was sent, though no answer ever says so', async () => {
    const { ben, conversation } = await pair()
    const writer = join(ben, gateway.url, {
      fetch: async (url, init) => {
        const response = await fetch(url, init)
        if (init?.method === 'POST' && url.endsWith('/messages')) throw new TypeError('reset')
        return response
      },
    })
    const sent: Message[] = []
    writer.chat.on('sent', (message) => sent.push(message))
    const message = await writer.chat.send(conversation, 'once')
    expect(message).toMatchObject({ seq: 1, text: 'once' })
    expect(sent).toEqual([message])
    expect(writer.chat.outbox.items).toEqual([])
  })

  test('what is discarded is kept nowhere', async () => {
    const { ben, conversation } = await pair()
    const storage = memoryStorage()
    const writer = join(ben, gateway.url, { storage, fetch: () => Promise.reject(new TypeError('no line')) })
    const sending = writer.chat.send(conversation, 'never mind').catch((error) => error.code)
    const names = async () => (await storage.names('')).filter((name) => name.includes('outbox'))
    await until('it is stored', async () => (await names()).length === 1)
    await writer.chat.outbox.discard(writer.chat.outbox.items[0]?.key ?? '')
    expect(await names()).toEqual([])
    expect(await sending).toBe('discarded')
  })
})

describe('requests of the product’s own', () => {
  test('go with the credentials of the connection', async () => {
    const { ben } = await pair()
    const { chat } = join(ben, gateway.url)
    expect(await chat.requests.json('/v1/users/me')).toMatchObject({ ok: true, body: { id: ben.id } })
    expect(await chat.requests.json('/v1/nothing')).toMatchObject({ ok: false, status: 404, isOurs: true })
  })

  test('a cookie that the server does not know is told', async () => {
    const chat = connect({ url: gateway.url, cookie: true, user: 'somebody' })
    open.push(chat)
    let refused = 0
    chat.on('refused', () => {
      refused += 1
    })
    await until('told', () => refused > 0)
    expect(chat.status.state).not.toBe('live')
  })
})
