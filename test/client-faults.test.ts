import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, type onTestFinished, test, vi } from 'vitest'
import { type Chat, type ConnectOptions, connect, type InboxEvent, requestsTo } from '../src/client/client.ts'
import { Connection, type ConnectionHandlers } from '../src/client/connection.ts'
import { whoIsCalling } from '../src/client/identity.ts'
import { Lag } from '../src/client/lag.ts'
import { Reading } from '../src/client/reading.ts'
import type { Fetch } from '../src/client/requests.ts'
import { type ClientStorage, memoryStorage } from '../src/client/storage.ts'
import { type Asked, FakeGateway, json, problem } from './support/fake-gateway.ts'
import { until } from './support/wait.ts'

const ADDRESS = 'http://gateway.example'
const SOON_MS = 5_000

type OnFinished = typeof onTestFinished
type Watched = { chat: Chat; ids: number[]; statuses: string[] }

/** A client whose inbox the fake is. */
function join(gateway: FakeGateway, onFinished: OnFinished, options: Partial<ConnectOptions> = {}): Watched {
  const { fetch } = gateway
  const given = { url: ADDRESS, after: '0', user: 'me', getToken: () => 'token', EventSource: null, fetch }
  const chat = connect({ ...given, ...options })
  onFinished(() => chat.close())
  const [ids, statuses]: [number[], string[]] = [[], []]
  chat.on('event', ({ id }) => ids.push(id))
  chat.on('status', ({ state, transport }) => statuses.push(`${state} ${transport}`))
  return { chat, ids, statuses }
}

/** What polls alone read, without a client around it. */
function connection(
  gateway: FakeGateway,
  onFinished: OnFinished,
  after: string,
  handlers: Partial<ConnectionHandlers>,
): Connection {
  const requests = requestsTo({ url: ADDRESS, getToken: () => 'token', fetch: gateway.fetch })
  const made = new Connection(
    { requests, EventSource: undefined, hasBodies: true },
    new Reading(after),
    new Lag(),
    { rungs: ['long-poll', 'poll'], remembered: undefined, isVisible: true },
    {
      event: () => {},
      passing: () => {},
      status: () => {},
      remember: () => {},
      reset: async ({ cursor }) => cursor,
      ...handlers,
    },
  )
  onFinished(() => made.close())
  return made
}

/** Answers the first requests for which `matches` holds with what `answer` makes. */
function first(
  gateway: FakeGateway,
  count: number,
  matches: (asked: Asked) => boolean,
  answer: () => Response,
) {
  let left = count
  gateway.script = (asked) => (matches(asked) && left-- > 0 ? answer() : undefined)
}

const nothing = () => new Response(null, { status: 204 })
/** Settles as the promise does, and holds up nobody. */
const codeOf = (sending: Promise<unknown>) =>
  sending.then(
    () => 'sent',
    (error: { name?: string; code?: string; status?: number }) =>
      `${error.name} ${error.status} ${error.code}`,
  )
const within = <T>(promise: Promise<T>, ms = SOON_MS) =>
  Promise.race([promise, pause(ms, 'nothing yet' as const, { ref: false })])

/** The names of what waits to be sent. */
async function storedIn(storage: ClientStorage): Promise<string[]> {
  return (await storage.names('')).filter((name) => name.includes('outbox'))
}

const noNetwork: Fetch = () => Promise.reject(new TypeError('no network'))

function fail(reason: string): never {
  throw new Error(reason)
}

/** The same storage, each call of which takes a while. */
function slow(storage: ClientStorage, ms: number): ClientStorage {
  const { get, set, remove, names } = storage
  const later =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A) => {
      await pause(ms)
      return call(...args)
    }
  return { get: later(get), set: later(set), remove: later(remove), names: later(names) }
}

const SIGNED = `head.${btoa('{"sub":"me"}')}.signature`

/** A storage that knows what worked here. */
async function remembering(rung: string): Promise<ClientStorage> {
  const storage = memoryStorage()
  await storage.set(`${ADDRESS} rung`, JSON.stringify({ rung, at: Date.now() }))
  return storage
}

// All at once: they wait for most of the time.
vi.setConfig({ maxConcurrency: 40 })

describe.concurrent('answers that are empty', () => {
  test('a send that is answered with nothing is sent again with its key, and holds up no other', async ({
    onTestFinished,
  }) => {
    const gateway = new FakeGateway()
    type Content = { conversation_id?: string; text: string; client_id: string }
    // Alone it has its conversation in the path.
    const contents = ({ fields }: Asked) => (fields.messages ?? [fields]) as Content[]
    const isOne = (asked: Asked) =>
      asked.path.includes('/one/') || contents(asked).some(({ conversation_id }) => conversation_id === 'one')
    first(gateway, 2, isOne, nothing)
    const { chat } = join(gateway, onTestFinished)
    const sends = [chat.send('one', 'a'), chat.send('two', 'b'), chat.send('one', 'c')]
    const sent = await within(Promise.all(sends))
    expect(sent).toMatchObject([{ text: 'a' }, { text: 'b' }, { text: 'c' }])
    expect(gateway.texts.toSorted()).toEqual(['a', 'b', 'c'])
    const asked = gateway.asked.flatMap(contents).filter(({ text }) => text === 'a')
    expect(asked).toHaveLength(3)
    expect(new Set(asked.map(({ client_id }) => client_id)).size).toBe(1)
  })

  test('who is calling is asked again until the answer says it', async ({ onTestFinished }) => {
    const gateway = new FakeGateway()
    first(gateway, 1, ({ path }) => path === '/v1/users/me', nothing)
    const closing = new AbortController()
    onTestFinished(() => closing.abort())
    const requests = requestsTo({ url: ADDRESS, cookie: true, fetch: gateway.fetch })
    expect(await within(whoIsCalling(requests, closing.signal, undefined, () => {}))).toBe('me')
    expect(gateway.askedFor('/v1/users/me')).toHaveLength(2)
  })

  test('a tab that catches up through an empty answer goes on when it is told again', async ({
    onTestFinished,
  }) => {
    const gateway = new FakeGateway()
    gateway.announce()
    first(gateway, 1, () => true, nothing)
    const ids: number[] = []
    const event = ({ id }: InboxEvent) => ids.push(id)
    const follower = connection(gateway, onTestFinished, 'here-0', { event })
    await follower.catchUp()
    await follower.catchUp()
    expect(ids).toEqual([1])
  })

  test('a message whose data is no JSON rejects its own send, and holds up no other', async ({
    onTestFinished,
  }) => {
    const gateway = new FakeGateway()
    const { chat } = join(gateway, onTestFinished)
    const wrong = codeOf(chat.send('c', 'wrong', { data: { n: 1n as unknown as number } }))
    const right = codeOf(chat.send('c', 'right'))
    expect(await within(wrong)).toMatch(/^TypeError/)
    expect(await within(right)).toBe('sent')
    expect(gateway.texts).toEqual(['right'])
  })
})

describe.concurrent('what is given to connect', () => {
  test('a fetch that looks at `this` finds no object of the client there', async ({ onTestFinished }) => {
    const gateway = new FakeGateway()
    const seen: unknown[] = []
    const fetch: Fetch = function (this: unknown, ...asked) {
      seen.push(this)
      return gateway.fetch(...asked)
    }
    const { chat } = join(gateway, onTestFinished, { fetch })
    expect(await within(chat.send('c', 'a'))).toMatchObject({ text: 'a' })
    expect(seen.filter((that) => that !== undefined && that !== globalThis)).toEqual([])
  })

  test.for([
    ['null', null],
    ['empty', ''],
  ])('a cursor that is %s counts as none', async ([, after], { onTestFinished }) => {
    const gateway = new FakeGateway()
    gateway.announce(2)
    const { ids } = join(gateway, onTestFinished, { after: after as string })
    await until('its first request', () => gateway.askedFor('/v1/events').length > 0)
    expect(gateway.askedFor('/v1/events')[0]?.fields).not.toHaveProperty('after')
    await until('its place', () => gateway.askedFor('/v1/events').some(({ fields }) => fields.after))
    gateway.announce()
    await until('the event', () => ids.length > 0, SOON_MS)
    expect(ids).toEqual([3])
  })

  test.for(['gateway.example', 'gateway.example:8080/chat', '//gateway.example'])(
    'an address without a scheme, %s, is refused in words that say so',
    (url) => {
      const begin = () => connect({ url, cookie: true, user: 'me', fetch: new FakeGateway().fetch }).close()
      expect(begin).toThrow(TypeError)
      expect(begin).toThrow(/scheme|https?:/)
    },
  )

  test('an address with a slash at its end is the same as without', async ({ onTestFinished }) => {
    const storage = memoryStorage()
    const away = join(new FakeGateway(), onTestFinished, { storage, url: `${ADDRESS}/`, fetch: noNetwork })
    void codeOf(away.chat.send('c', 'kept'))
    await until('it is stored', async () => (await storedIn(storage)).length === 1)
    away.chat.close()
    const gateway = new FakeGateway()
    join(gateway, onTestFinished, { storage })
    await until('it is sent', () => gateway.sent.length > 0, SOON_MS)
    expect(gateway.texts).toEqual(['kept'])
  })

  const broken: [string, () => unknown][] = [
    ['throws', () => fail('QuotaExceededError')],
    ['returns nothing', () => undefined],
    ['never answers', () => new Promise(() => {})],
  ]
  test.for(broken)('a storage that %s does no harm', async ([, method], { onTestFinished }) => {
    const storage = { get: method, set: method, remove: method, names: method } as ClientStorage
    const gateway = new FakeGateway()
    const { chat, ids } = join(gateway, onTestFinished, { storage })
    expect(await within(chat.send('c', 'a'))).toMatchObject({ text: 'a' })
    await until('the event', () => ids.length === 1, SOON_MS)
    chat.close()
  })
})

describe.concurrent('what was left in the outbox', () => {
  const openings: [string, Partial<ConnectOptions>, number, boolean][] = [
    ['a slow storage', {}, 5, false],
    [
      'a token that takes a while',
      { user: undefined as unknown as string, getToken: () => pause(400, SIGNED) },
      0,
      false,
    ],
    ['a corrupt entry among them', {}, 0, true],
    ['a corrupt entry in a slow storage', {}, 5, true],
  ]
  test.for(openings)(
    'goes before what is sent now: %s',
    async ([, options, ms, isCorrupt], { onTestFinished }) => {
      const kept = memoryStorage()
      const away = join(new FakeGateway(), onTestFinished, { storage: kept, fetch: noNetwork })
      for (const text of ['a', 'b', 'c']) void codeOf(away.chat.send('c', text))
      await until('all are stored', async () => (await storedIn(kept)).length === 3)
      away.chat.close()

      // The corrupt one stands before the others.
      const storage = memoryStorage()
      const [name = ''] = await storedIn(kept)
      if (isCorrupt) await storage.set(`${name}x`, '{"key":"x","conversation_id":"c","te')
      for (const name of await storedIn(kept)) await storage.set(name, (await kept.get(name)) ?? '')
      const gateway = new FakeGateway()
      const { chat } = join(gateway, onTestFinished, { ...options, storage: slow(storage, ms) })
      expect(await within(chat.send('c', 'd'))).toMatchObject({ text: 'd' })
      await until('all are there', () => gateway.sent.length === 4, SOON_MS)
      expect(gateway.texts).toEqual(['a', 'b', 'c', 'd'])
      await until('nothing waits', () => chat.outbox.items.length === 0)
    },
  )
})

describe.concurrent('tokens', () => {
  test.for(['under way', 'just done'])(
    'a bye for a token that has expired asks for no third one while a refresh is %s',
    async (when, { onTestFinished }) => {
      const gateway = new FakeGateway()
      gateway.hasStreams = true
      const isRefused = new Set<string | undefined>()
      gateway.script = ({ token }) => (isRefused.has(token) ? problem(401, 'token_expired') : undefined)
      const refreshes: unknown[] = []
      const getToken = async (options?: { refresh?: boolean }) => {
        refreshes.push(options?.refresh)
        if (!options?.refresh) return 'token-1'
        if (when === 'under way') {
          await pause(50)
          gateway.bye('token_expired')
          await pause(300)
        }
        return `token-${refreshes.length}`
      }
      const storage = await remembering('sse')
      const { chat, statuses } = join(gateway, onTestFinished, { getToken, storage })
      await until('the stream', () => gateway.streams.size > 0 && statuses.includes('live sse'), SOON_MS)
      isRefused.add('token-1')
      expect(await within(chat.send('c', 'a'))).toMatchObject({ text: 'a' })
      if (when === 'just done') gateway.bye('token_expired')
      const isStream = ({ fields, token }: Asked) => fields.as === 'sse' && token !== 'token-1'
      await until('the next stream', () => gateway.asked.some(isStream), SOON_MS)
      expect(refreshes).toEqual([false, true])
    },
  )
})

describe.concurrent('resets', () => {
  test.for([
    ['sse', 'gone-7'],
    ['sse-disguised', 'gone-7'],
    ['sse', 'here-9'],
  ] as const)(
    'one that a stream brings (%s, behind %s) costs the stream nothing',
    async ([rung, after], { onTestFinished }) => {
      const gateway = new FakeGateway()
      gateway.hasStreams = true
      gateway.announce(3)
      const storage = await remembering(rung)
      const { chat, ids, statuses } = join(gateway, onTestFinished, { after, storage })
      const resets: unknown[] = []
      chat.on('reset', (reset) => {
        resets.push(reset)
      })
      const isNext = ({ fields }: Asked) => fields.after === 'here-3'
      await until('what follows', () => gateway.asked.some(isNext) && gateway.streams.size > 0, SOON_MS)
      gateway.announce()
      await until('the event', () => ids.length > 0, SOON_MS)
      expect(ids).toEqual([4])
      expect(resets).toEqual([{ cursor: 'here-3', reason: 'unknown' }])
      expect(statuses.filter((status) => status.startsWith('live'))).toEqual([`live ${rung}`])
      const asked = gateway.askedFor('/v1/events').map(({ fields }) => fields.as)
      expect(new Set(asked)).toEqual(new Set([rung === 'sse' ? 'sse' : 'octet']))
      expect(JSON.parse((await storage.get(`${ADDRESS} rung`)) ?? '{}')).toMatchObject({ rung })
    },
  )

  test.for([
    ['leads', true],
    ['follows', false],
  ] as const)(
    'while one is handled nothing is read, and no second one is announced, in a tab that %s',
    async ([_, isLeading], { onTestFinished }) => {
      const gateway = new FakeGateway()
      gateway.announce(3)
      const handled = Promise.withResolvers<string>()
      const [ids, resets]: [number[], string[]] = [[], []]
      const reader = connection(gateway, onTestFinished, 'gone-7', {
        event: ({ id }) => ids.push(id),
        reset: ({ reason }) => {
          resets.push(reason)
          return handled.promise
        },
      })
      if (isLeading) reader.start()
      else reader.follow('here-3')
      await until('the reset', () => resets.length === 1)
      const before = gateway.asked.length
      for (let id = 4; id < 8; id += 1) {
        gateway.announce()
        reader.follow(`here-${id}`)
        reader.take({ id, type: 'announcement', at: new Date().toISOString() }, `here-${id}`)
        void reader.catchUp()
        // Whatever they ask for is answered at once.
        await pause(50)
      }
      expect({ asked: gateway.asked.length - before, resets, ids }).toEqual({
        asked: 0,
        resets: ['unknown'],
        ids: [],
      })
      handled.resolve('here-3')
      await until('what was kept from it', async () => {
        await reader.catchUp()
        return ids.length >= 4
      })
      expect({ resets, ids }).toEqual({ resets: ['unknown'], ids: [4, 5, 6, 7] })
    },
  )

  test('what is halted while one is handled does not start when that ends', async ({ onTestFinished }) => {
    const gateway = new FakeGateway()
    gateway.announce()
    const handled = Promise.withResolvers<string>()
    const ids: number[] = []
    let isReset = false
    const leader = connection(gateway, onTestFinished, 'gone-7', {
      event: ({ id }) => ids.push(id),
      reset: () => {
        isReset = true
        return handled.promise
      },
    })
    leader.start()
    await until('the reset', () => isReset)
    leader.halt()
    handled.resolve('here-1')
    // It may catch up with another tab, but waits for nothing itself.
    await pause(300)
    gateway.announce()
    await pause(300)
    expect(ids).toEqual([])
    leader.start()
    await until('it reads on', () => ids.length === 1)
    expect(ids).toEqual([2])
  })

  test.for(['no cursor', '', 42, { cursor: 'here-0' }])(
    'a handler that answers with %j, which is no cursor, is not listened to',
    async (answer, { onTestFinished }) => {
      const gateway = new FakeGateway()
      gateway.announce(3)
      const { chat, ids } = join(gateway, onTestFinished, { after: 'gone-7' })
      let resets = 0
      chat.on('reset', () => {
        resets += 1
        return answer
      })
      await until(
        'reading goes on',
        () => gateway.asked.some(({ fields }) => fields.after === 'here-3'),
        SOON_MS,
      )
      gateway.announce()
      await until('the event', () => ids.length > 0, SOON_MS)
      expect({ ids, resets }).toEqual({ ids: [4], resets: 1 })
    },
  )

  test('those that follow each other without end are paced', async ({ onTestFinished }) => {
    const gateway = new FakeGateway()
    gateway.announce()
    const { chat } = join(gateway, onTestFinished, { after: 'gone-7' })
    const resets: number[] = []
    chat.on('reset', () => {
      resets.push(performance.now())
      return 'gone-7'
    })
    await until('the first', () => resets.length > 0)
    await pause(5_500)
    const since = resets[0] ?? 0
    const counted = resets.filter((at) => at - since < 5_000)
    expect(counted.length).toBeGreaterThan(1)
    expect(counted.length).toBeLessThanOrEqual(5)
    expect(gateway.askedFor('/v1/events').length).toBeLessThanOrEqual(20)
  })
})

test.concurrent('through a box that drops queries all is read from the oldest event on, in order', async ({
  onTestFinished,
}) => {
  const gateway = new FakeGateway()
  gateway.announce(3)
  const fetch: Fetch = (url, init) =>
    gateway.fetch(init?.method === 'POST' ? url : (url.split('?')[0] ?? ''), init)
  const { chat, ids } = join(gateway, onTestFinished, { fetch })
  await until('the first request', () => gateway.asked.length > 0)
  await pause(1_000)
  gateway.announce()
  await until('the newest event', () => ids.includes(4))
  expect(ids).toEqual([1, 2, 3, 4])
  expect(chat.cursor).toBe('here-4')
})

describe.concurrent('close()', () => {
  test.for([true, false])(
    'in a listener, it is the last event that is handed out (streams: %s)',
    async (hasStreams, { onTestFinished }) => {
      const gateway = new FakeGateway()
      gateway.hasStreams = hasStreams
      gateway.announce(5)
      const storage = await remembering(hasStreams ? 'sse' : 'long-poll')
      const { chat, ids } = join(gateway, onTestFinished, { after: 'here-0', storage })
      chat.on('event', ({ id }) => {
        if (id === 2) chat.close()
      })
      await until('the second event', () => ids.length >= 2, SOON_MS)
      gateway.announce()
      await pause(100)
      expect({ ids, cursor: chat.cursor }).toEqual({ ids: [1, 2], cursor: 'here-2' })
    },
  )

  test('hands out nothing that was asked for before', async ({ onTestFinished }) => {
    const gateway = new FakeGateway()
    gateway.announce()
    const answer = Promise.withResolvers<Response>()
    gateway.script = () => answer.promise
    const ids: number[] = []
    const event = ({ id }: InboxEvent) => ids.push(id)
    const follower = connection(gateway, onTestFinished, 'here-0', { event })
    const caughtUp = follower.catchUp()
    await until('it asks', () => gateway.asked.length > 0)
    follower.close()
    answer.resolve(json({ cursor: 'here-1', events: [{ id: 1, type: 'announcement' }], has_more: false }))
    await within(caughtUp)
    expect(ids).toEqual([])
  })

  test('rejects what is not sent yet, which stays stored, and what is sent afterwards', async ({
    onTestFinished,
  }) => {
    const storage = memoryStorage()
    const gateway = new FakeGateway()
    const { chat } = join(gateway, onTestFinished, { storage, fetch: noNetwork })
    const pending = ['a', 'b'].map((text) => codeOf(chat.send('c', text)))
    await until('they are stored', async () => (await storedIn(storage)).length === 2)
    chat.close()
    const closed = 'SendError 0 closed'
    expect(await within(Promise.all(pending))).toEqual([closed, closed])
    expect(await within(codeOf(chat.send('c', 'd')))).toBe(closed)
    expect(await storedIn(storage)).toHaveLength(2)
    join(gateway, onTestFinished, { storage })
    await until('they are sent another time', () => gateway.sent.length === 2, SOON_MS)
    expect(gateway.texts).toEqual(['a', 'b'])
  })

  const CLIENT = new URL('../src/client/client.ts', import.meta.url).href
  const programs: [string, string, RegExp][] = [
    ['the server asks for 20 s of patience', `() => 'token'`, /[1-9]/],
    ['a token does not come', `() => new Promise(() => {})`, /0/],
  ]
  test.for(programs)(
    'leaves nothing behind that keeps a process alive while %s',
    async ([, getToken, answers], { onTestFinished }) => {
      const program = `
      const { connect } = await import(${JSON.stringify(CLIENT)})
      const headers = { 'content-type': 'application/problem+json', 'retry-after': '20' }
      let answers = 0
      const fetch = async () => {
        answers += 1
        return new Response('{"code":"rate_limited","detail":"Later."}', { status: 429, headers })
      }
      const getToken = ${getToken}
      const chat = connect({ url: '${ADDRESS}', getToken, fetch })
      chat.send('c', 'a').catch(() => {})
      setTimeout(() => {
        console.log('closing after ' + answers)
        chat.close()
      }, 1000)`
      const child = spawn(process.execPath, ['--input-type=module', '-e', program])
      onTestFinished(() => void child.kill('SIGKILL'))
      let errors = ''
      child.stderr.on('data', (chunk: Buffer) => {
        errors += chunk
      })
      const exit = once(child, 'exit')
      const [said] = (await once(child.stdout, 'data')) as [Buffer]
      expect(`${said}`).toMatch(answers)
      expect(await within(exit, 2_000), errors).toEqual([0, null])
    },
  )
})
