import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import { startGateway } from './support/gateway.ts'
import { HeldTransaction, waitingBackends } from './support/held-transaction.ts'
import { type Event, Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { until } from './support/wait.ts'

let server: TestPostgres
let gateway: Gateway
/** A second node over the same database: the same inboxes, another committer. */
let other: Gateway
let sql: postgres.Sql

beforeAll(async () => {
  server = await startPostgres()
  gateway = await startGateway(server.url)
  other = await startGateway(server.url)
  sql = postgres(server.url, { max: 2 })
})

afterAll(async () => {
  await sql?.end()
  await other?.[Symbol.asyncDispose]()
  await gateway?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function pair() {
  const alice = await Person.signUp(gateway.url)
  const bob = await Person.signUp(gateway.url)
  return { alice, bob, chat: await alice.direct(bob) }
}

function lockConversation(id: string): HeldTransaction {
  return new HeldTransaction(server.url, (tx) => tx`SELECT 1 FROM conversations WHERE id = ${id} FOR UPDATE`)
}

/** Uncommitted until released: a message from `sender`, as another node would commit it. */
function lateCommit(sender: Person, conversation: string, text: string): HeldTransaction {
  return new HeldTransaction(
    server.url,
    (tx) => tx`
      SELECT * FROM commit_sends(ARRAY[${sender.id}], ARRAY[${randomUUID()}], ARRAY['\\x00'::bytea], ARRAY[${conversation}::uuid],
        ARRAY[${randomUUID()}::uuid], ARRAY[${text}], ARRAY['late'], ARRAY[NULL::bigint], ARRAY[NULL::text], ARRAY[NULL::text])`,
  )
}

function idsAndTexts(events: Event[]): [number, string | undefined][] {
  return events.map((event) => [event.id, event.message?.text])
}

describe('P1 an answered send is never lost', () => {
  test('nothing is in an inbox before it is committed, and a late commit cannot be skipped', async () => {
    const { alice, bob, chat } = await pair()
    const carol = await Person.signUp(other.url)
    const elsewhere = await carol.direct(bob)
    const { cursor, events } = await bob.readAll()
    const first = events.length
    await using late = lateCommit(alice, chat, 'began first')
    await late.held
    // Bob's head is locked: this one, in another conversation, has to wait for its number.
    const second = carol.send(elsewhere, 'began second')
    await until('the second to wait', async () => (await waitingBackends(sql)) > 0)
    expect((await bob.readAll(cursor)).events).toEqual([])
    await late.commit()
    expect((await second).status).toBe(201)
    expect(idsAndTexts((await bob.readAll(cursor)).events)).toEqual([
      [first + 1, 'began first'],
      [first + 2, 'began second'],
    ])
  })

  test('an event that nobody announced reaches an open stream all the same', async () => {
    const { alice, bob, chat } = await pair()
    using stream = await bob.stream()
    await stream.waitForFrame('heartbeat')
    await using late = lateCommit(alice, chat, 'never announced')
    await late.commit()
    expect(await stream.waitForTexts(1)).toEqual(['never announced'])
  })

  test('what another node commits reaches an open stream too', async () => {
    const { alice, bob, chat } = await pair()
    using stream = await bob.stream()
    await stream.waitForFrame('heartbeat')
    for (let n = 0; n < 5; n += 1) await alice.at(other.url).send(chat, String(n))
    expect(await stream.waitForTexts(5)).toEqual(['0', '1', '2', '3', '4'])
  })
})

describe('P2 a key makes at most one message', () => {
  test('fifty uses at once, on two nodes and two devices', async () => {
    const { alice, chat } = await pair()
    const phone = (await alice.anotherDevice()).at(other.url)
    const uses = Array.from({ length: 50 }, (_, n) => (n % 2 ? alice : phone).send(chat, 'once', 'the-key'))
    const answers = await Promise.all(uses)
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1)
    expect(answers.filter((answer) => answer.headers.get('idempotent-replayed') === 'true')).toHaveLength(49)
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1)
    const history = await alice.call<{ messages: unknown[] }>('GET', `/v1/conversations/${chat}/messages`)
    expect(history.body.messages).toHaveLength(1)
  })

  test('keys taken crosswise by two committers', async () => {
    const { alice, bob } = await pair()
    const chats = [await alice.group([bob]), await alice.group([bob])] as const
    for (let round = 0; round < 10; round += 1) {
      const keys = [randomUUID(), randomUUID()] as const
      const lock = lockConversation(chats[0])
      await lock.held
      // Behind the lock both nodes collect both sends, in opposite orders; then they go at once.
      const batches = [gateway, other].map((node, side) =>
        alice.at(node.url).call<{ results: { status: number }[] }>('POST', '/v1/messages', {
          messages: ([side, 1 - side] as (0 | 1)[]).map((k) => ({
            conversation_id: chats[k],
            text: `round ${round} ${k}`,
            client_id: keys[k],
          })),
        }),
      )
      await until('a node to wait', async () => (await waitingBackends(sql)) > 0)
      await lock[Symbol.asyncDispose]()
      for (const { body } of await Promise.all(batches)) {
        for (const { status } of body.results) expect([200, 201]).toContain(status)
      }
    }
    for (const chat of chats) {
      const { body } = await bob.call<{ messages: { text: string; seq: number }[] }>(
        'GET',
        `/v1/conversations/${chat}/messages`,
      )
      expect(body.messages.map((message) => message.seq)).toEqual(Array.from({ length: 10 }, (_, n) => n + 1))
      expect(new Set(body.messages.map((message) => message.text)).size).toBe(10)
    }
  })

  test('also within one group, also with another text', async () => {
    const { alice, chat } = await pair()
    const lock = lockConversation(chat)
    await lock.held
    const warmUp = alice.send(chat, 'holds the committer')
    await until('the committer to wait', async () => (await waitingBackends(sql)) > 0)
    const answers = Promise.all([
      alice.send(chat, 'same', 'k'),
      alice.send(chat, 'same', 'k'),
      alice.send(chat, 'different', 'k'),
      alice.send(chat, 'same', 'k'),
    ])
    await lock[Symbol.asyncDispose]()
    await warmUp
    const statuses = (await answers).map((answer) => answer.status).sort()
    const winner = (await answers).find((answer) => answer.status === 201)?.body.text
    expect(statuses).toEqual(winner === 'same' ? [200, 200, 201, 422] : [201, 422, 422, 422])
  })
})

describe('P3 and P4 one gapless log per inbox, one order per conversation', () => {
  test('with many senders on two nodes and members that differ', async () => {
    const people = await Promise.all(Array.from({ length: 6 }, () => Person.signUp(gateway.url)))
    const [a, b, c, d, e, f] = people as [Person, Person, Person, Person, Person, Person]
    const rooms = [await a.group([b, c, d]), await d.group([e, f, a]), await b.group([c, e, f])]
    const sends = people.flatMap((person, n) =>
      rooms.flatMap((room, r) =>
        Array.from({ length: 15 }, (_, k) =>
          person.at((n + r + k) % 2 ? gateway.url : other.url).send(room, `${n}.${r}.${k}`),
        ),
      ),
    )
    const outcomes = await Promise.all(sends)
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set([201, 404]))
    const orders = new Map<string, string>()
    for (const person of people) {
      const { events } = await person.readAll()
      expect(events.map((event) => event.id)).toEqual(events.map((_, index) => index + 1))
      const times = events.map((event) => Date.parse(String(event.at)))
      expect(times).toEqual([...times].sort((x, y) => x - y))
      for (const room of rooms) {
        const messages = events.filter(
          (event) => event.type === 'message.created' && event.conversation_id === room,
        )
        if (messages.length === 0) continue
        expect(messages.map((event) => event.message?.seq)).toEqual(messages.map((_, index) => index + 1))
        const order = messages.map((event) => event.message?.text).join()
        expect(orders.get(room) ?? order).toBe(order)
        orders.set(room, order)
      }
    }
    expect(orders.size).toBe(3)
  })
})

describe('P5 nothing moves back', () => {
  test('a stored cursor', async () => {
    const { alice, bob, chat } = await pair()
    const { cursor: early } = await bob.readAll()
    await alice.send(chat, 'one')
    const { cursor: later } = await bob.readAll()
    for (const cursor of [later, early]) await bob.call('PUT', '/v1/devices/current/cursor', { cursor })
    await Promise.all([early, later, early].map((cursor) => bob.poll(`wait=0&after=${cursor}`)))
    expect((await bob.poll('wait=0')).body.events).toEqual([])
  })

  test('a read mark', async () => {
    const { alice, bob, chat } = await pair()
    for (let n = 0; n < 5; n += 1) await alice.send(chat, String(n))
    await Promise.all([4, 1, 3, 2].map((seq) => bob.call('PUT', `/v1/conversations/${chat}/read`, { seq })))
    const { body } = await bob.call('GET', `/v1/conversations/${chat}`)
    expect(body).toMatchObject({ read_seq: 4, unread_count: 1 })
    const marks = (await bob.readAll()).events.filter((event) => event.type === 'conversation.read')
    const seqs = marks.map((event) => Number(event.seq))
    expect(seqs).toEqual([...seqs].sort((x, y) => x - y))
    expect(seqs.at(-1)).toBe(4)
  })
})

describe('P6 a removal that races a send', () => {
  test.each(['send first', 'removal first'])(
    '%s: the removed member gets nothing behind member.removed',
    async (order) => {
      const owner = await Person.signUp(gateway.url)
      const [member, gone] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
      const room = await owner.group([member, gone])
      using stream = await gone.stream('after=0')
      for (let round = 0; round < 8; round += 1) {
        if (round > 0) await owner.call('PUT', `/v1/conversations/${room}/members/${gone.id}`, {})
        const lock = lockConversation(room)
        await lock.held
        const send = () => member.send(room, `round ${round}`)
        const remove = () => owner.call('DELETE', `/v1/conversations/${room}/members/${gone.id}`)
        const racers = []
        for (const racer of order === 'send first' ? [send, remove] : [remove, send]) {
          const before = racers.length
          racers.push(racer())
          await until('it to wait', async () => (await waitingBackends(sql)) > before)
        }
        await lock[Symbol.asyncDispose]()
        expect((await Promise.all(racers)).map((answer) => answer.status).sort()).toEqual([201, 204])
      }
      const { events } = await gone.readAll()
      await until('all events on the stream', () => stream.events.length >= events.length)
      let isMember = false
      for (const { type } of stream.events) {
        if (type === 'conversation.created') isMember = true
        else {
          expect([type, isMember]).toEqual([type, true])
          if (type === 'member.removed') isMember = false
        }
      }
      expect(events.every((event) => event.type === 'redacted' || event.type === 'member.removed')).toBe(true)
      expect((await gone.send(room, 'let me in')).status).toBe(404)
    },
  )
})

describe('P8 a reader that does not read', () => {
  test('is told bye and ended, costs a bounded number of bytes and nobody else’s time', {
    timeout: 60_000,
  }, async () => {
    const { alice, bob, chat } = await pair()
    using lazy = await bob.stream()
    await lazy.waitForFrame('heartbeat')
    using eager = await bob.stream()
    lazy.response.pause()
    const text = 'x'.repeat(8_000)
    let sent = 0
    const before = process.memoryUsage().heapUsed
    const flood = async () => {
      const messages = Array.from({ length: 100 }, () => ({
        conversation_id: chat,
        text,
        client_id: randomUUID(),
      }))
      await alice.call('POST', '/v1/messages', { messages })
      sent += messages.length
    }
    // Kernel buffers take some megabytes before the server feels anything.
    for (let n = 0; n < 15; n += 1) await flood()
    expect(await eager.waitForTexts(sent)).toHaveLength(sent)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(150e6)
    await until('the server to end it', () => endedByServer(bob, lazy.response.socket.localPort ?? 0), 30_000)
  })
})

/** Whether the server has let go of a connection, as its side of the socket table says. */
async function endedByServer(person: Person, port: number): Promise<boolean> {
  const { readFile } = await import('node:fs/promises')
  const local = Number(new URL(person.base).port).toString(16).toUpperCase().padStart(4, '0')
  const remote = port.toString(16).toUpperCase().padStart(4, '0')
  const table = await readFile('/proc/net/tcp', 'utf8')
  const row = table.split('\n').find((line) => new RegExp(`\\d: \\w+:${local} \\w+:${remote} `).test(line))
  return row === undefined || row.trim().split(/\s+/)[3] !== '01'
}

describe('a conversation that stays locked', () => {
  test('costs its own senders a 503, and others in the same group nothing', async () => {
    const { alice, bob, chat } = await pair()
    const elsewhere = await alice.group([bob])
    await using lock = lockConversation(chat)
    await lock.held
    const first = alice.send(chat, 'takes the committer')
    await until('the committer to wait', async () => (await waitingBackends(sql)) > 0)
    const [stuck, free] = await Promise.all([alice.send(chat, 'stuck'), alice.send(elsewhere, 'free')])
    expect([(await first).status, stuck.status, free.status]).toEqual([503, 503, 201])
    expect(stuck.headers.get('retry-after')).toBe('1')
  })
})
