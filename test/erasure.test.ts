import { beforeAll, describe, expect, test } from 'vitest'
import type { Conversation, Message, User } from '../src/protocol/types.ts'
import { Database } from '../src/store/database.ts'
import type { Erasure } from '../src/store/erasures.ts'
import { ADMIN_TOKEN, BackEnd } from './support/back-end.ts'
import { GatewayProcess } from './support/gateway-process.ts'
import { call, Person } from './support/person.ts'
import { startPostgres } from './support/postgres.ts'
import { expectProblem } from './support/problem.ts'
import { useGateway, useOtherGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { postgres, gateway } = useGateway({ adminToken: ADMIN_TOKEN })
const elsewhere = useOtherGateway(postgres)
let backEnd: BackEnd

beforeAll(() => {
  backEnd = new BackEnd(gateway.url)
})

type Export = {
  user?: User
  sessions: { device_id: string }[]
  conversations: Conversation[]
  messages: Message[]
  next: string | null
}

/** All pages of an export. */
async function exportAll(id: string, limit: number): Promise<Export[]> {
  const pages: Export[] = []
  for (let query = `?limit=${limit}`; ; ) {
    const answer = await backEnd.call<Export>('GET', `/users/${id}/export${query}`)
    expect(answer.status).toBe(200)
    const { body, text } = answer
    const items = body.sessions.length + body.conversations.length + body.messages.length
    expect(Buffer.byteLength(text) <= 48 * 1024 || items === 1, `${text.length} bytes`).toBe(true)
    pages.push(body)
    if (body.next === null) return pages
    query = `?limit=${limit}&after=${body.next}`
  }
}

describe('an export', () => {
  test('has all of a user, in pages that pass any proxy', async () => {
    const [me, other] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    const phone = await me.anotherDevice()
    const chats = [await me.direct(other), await me.group([other]), await other.group([me])]
    const sent: Message[] = []
    for (let n = 0; n < 40; n += 1) {
      const text = n === 7 ? '한'.repeat(60_000) : `${n} ${'x'.repeat(n * 100)}`
      sent.push((await me.send(chats[n % 3] ?? '', text)).body)
      await other.send(chats[n % 3] ?? '', 'not mine')
    }
    const long = '한'.repeat(60_000)
    for (const limit of [7, 200]) {
      const pages = await exportAll(me.id, limit)
      expect(pages[0]?.user).toEqual(me.session.user)
      expect(pages.slice(1).every(({ user }) => user === undefined)).toBe(true)
      const devices = pages.flatMap(({ sessions }) => sessions.map(({ device_id }) => device_id))
      expect(devices.sort()).toEqual([me.session.device_id, phone.session.device_id].sort())
      const ids = pages.flatMap(({ conversations }) => conversations.map(({ id }) => id))
      expect(ids.sort()).toEqual([...chats].sort())
      const messages = pages.flatMap((page) => page.messages)
      const byId = new Map(messages.map((message) => [message.id, message]))
      expect(messages).toHaveLength(sent.length)
      for (const [n, message] of sent.entries()) {
        const whole = n === 7 ? { ...message, text: long, truncated: false } : message
        expect(byId.get(message.id)).toEqual(whole)
      }
    }
    expectProblem(await backEnd.call('GET', '/users/nobody/export'), 404, 'not_found')
    for (const after of ['x', 'conversations.eA', 'messages.AA', 'sessions._w']) {
      const answer = await backEnd.call('GET', `/users/${me.id}/export?after=${after}`)
      expect([200, 422]).toContain(answer.status)
    }
  })

  test('has room for the profile on its first page', async () => {
    const data = { mine: 'x'.repeat(4_000) }
    const { id } = (await backEnd.call<User>('POST', '/users', { display_name: 'Full', data })).body
    const group = { kind: 'group', members: [id], data }
    for (let n = 0; n < 14; n += 1) await backEnd.call('POST', '/conversations', group)
    const pages = await exportAll(id, 200)
    expect(pages.flatMap(({ conversations }) => conversations)).toHaveLength(14)
  })
})

const erase = (id: string) => backEnd.call<Erasure>('DELETE', `/users/${encodeURIComponent(id)}`)
const erased = (id: string, by = backEnd) =>
  until(
    'the erasure',
    async () => {
      const { body } = await by.call<Erasure>('GET', `/users/${encodeURIComponent(id)}/erasure`)
      return body.completed_at !== null && body
    },
    60_000,
  )

/** Every table in which a text stands somewhere, as what Postgres itself would write of its rows. */
async function tablesWith(text: string): Promise<string[]> {
  await using database = new Database({ url: postgres.url })
  const tables = await database.sql<{ name: string }[]>`
    SELECT relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname = 'public'`
  const found: string[] = []
  for (const { name } of tables) {
    const rows = await database.sql`
      SELECT 1 FROM ${database.sql(name)} t WHERE t::text ILIKE ${`%${text}%`} LIMIT 1`
    if (rows.length > 0) found.push(name)
  }
  return found
}

/** Their browser subscribed, with another key so that nothing is sent, and was rung for a conversation. */
async function subscribeAndRing({ id, session }: Person, conversation: string): Promise<void> {
  await using database = new Database({ url: postgres.url })
  await database.sql`
    INSERT INTO push_subscriptions (user_id, device_id, endpoint, endpoint_hash, p256dh, auth, vapid_public_key)
    VALUES (${id}, ${session.device_id}, 'https://push.example/zanzibar', 'hash', 'zanzibar', 'zanzibar', 'another')`
  await database.sql`
    INSERT INTO pushes (user_id, about, is_announcement, from_seq, seq, inbox_id, rung)
    VALUES (${id}, ${conversation}, false, 1, 1, 1, ${[session.device_id]})`
}

describe('an erasure', () => {
  test('leaves no text, name or device of the user anywhere, and tombstones for all others', {
    timeout: 60_000,
  }, async () => {
    const made = {
      id: 'erase-me',
      username: 'Zanzibar',
      display_name: 'Zanzibar Z',
      password: 'correct horse',
    }
    const me = await backEnd.person({ ...made, data: { secret: 'zanzibar' } })
    const [other, late] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    const direct = await me.direct(other)
    await subscribeAndRing(me, direct)
    const group = await me.group([other], { title: 'Ours', system_messages: true })
    await me.send(direct, 'zanzibar 1', 'zanzibar-key')
    await other.send(direct, 'mine stays')
    await me.call('POST', `/v1/conversations/${group}/messages`, {
      text: 'zanzibar 2',
      data: { z: 'zanzibar' },
    })
    await me.call('POST', '/v1/messages', {
      messages: [{ to: [other.id, late.id], text: 'zanzibar 3', client_id: 'zanzibar-many' }],
    })
    await other.call('PUT', `/v1/conversations/${direct}/messages/1/reactions/%F0%9F%91%8D`)
    const named = { text: `zanzibar 4 @${late.session.user.username}` }
    const before = (await other.call<Conversation>('GET', `/v1/conversations/${direct}`)).body
    await other.call('PUT', `/v1/conversations/${group}/members/${late.id}`)
    await me.call('PUT', `/v1/conversations/${group}/members/${late.id}`)
    await me.call('POST', `/v1/conversations/${group}/messages`, named)
    const counts = async () => (await late.call('GET', `/v1/conversations/${group}`)).body
    expect(await counts()).toMatchObject({ mention_count: 1, unread_count: 2 })
    expect(await tablesWith('zanzibar')).toEqual(
      expect.arrayContaining(['users', 'send_keys', expect.stringMatching('messages')]),
    )

    using mine = await me.at(elsewhere.url).stream()
    using theirs = await other.stream()
    using lates = await late.stream()
    await Promise.all([mine, theirs, lates].map((stream) => stream.waitForFrame('heartbeat')))
    const answer = await erase('erase-me')
    expect(answer.status).toBe(202)
    expect(answer.body).toMatchObject({ user_id: 'erase-me', completed_at: null })
    await mine.waitForEnd()
    expectProblem(await me.call('GET', '/v1/users/me'), 401, 'signed_out')
    const signIn = { username: 'Zanzibar', password: 'correct horse' }
    expectProblem(await call(gateway.url, 'POST', '/v1/sessions', { body: signIn }), 401, 'bad_credentials')
    expectProblem(await backEnd.call('POST', '/users/erase-me/sessions'), 404, 'not_found')
    expectProblem(await backEnd.call('GET', '/users/erase-me'), 404, 'not_found')
    expectProblem(
      await backEnd.call('POST', '/users', { id: 'erase-me', display_name: 'Again' }),
      409,
      'user_id_taken',
    )

    expect(await erased('erase-me')).toMatchObject({ messages_erased: 7 })
    expect(await tablesWith('zanzibar')).toEqual([])
    expect(await tablesWith('(erase-me,')).toEqual(
      expect.not.arrayContaining(['pushes', 'push_subscriptions']),
    )
    const user = (await other.call<User>('GET', '/v1/users/erase-me')).body
    expect(user).toMatchObject({ username: null, display_name: 'Deleted user', data: {} })

    // The other one: tombstones, by event and by history; what was theirs stays.
    const deleted = theirs.events.filter(({ type }) => type === 'message.deleted')
    // Two of them were told by the system: that somebody was added, and that the user left.
    expect(deleted).toHaveLength(6)
    for (const { message } of deleted) {
      expect(message).toMatchObject({ reactions: [], mentions: [], client_id: null })
      expect(message).toMatchObject({
        text: '',
        data: {},
        deleted_at: expect.stringMatching(/Z$/),
      })
    }
    expect(theirs.events.find(({ type }) => type === 'member.removed')).toMatchObject({ user_id: 'erase-me' })
    const history = await other.call<{ messages: Message[] }>('GET', `/v1/conversations/${direct}/messages`)
    expect(
      history.body.messages.map(({ seq, text, deleted_at }) => [seq, text, deleted_at !== null]),
    ).toEqual([
      ...[
        [1, '', true],
        [2, 'mine stays', false],
        [3, '', true],
      ],
    ])
    expect(JSON.stringify(await other.readAll())).not.toContain('anzibar')
    expect((await other.call<Conversation>('GET', `/v1/conversations/${direct}`)).body).toMatchObject({
      ...{ id: before.id, unread_count: before.unread_count, peer: { display_name: 'Deleted user' } },
    })
    // Who joined later learns of no message from before.
    expect(lates.events.filter(({ type }) => type === 'message.deleted')).toHaveLength(4)
    expect(await counts()).toMatchObject({ mention_count: 0, unread_count: 3 })
    expect((await other.call<Conversation>('GET', `/v1/conversations/${group}`)).body).toMatchObject({
      ...{ role: 'owner', members_count: 2 },
    })
    expectProblem(
      await late.call('POST', '/v1/conversations', { kind: 'direct', members: ['nobody', 'erase-me'] }),
      422,
      'validation_failed',
    )
    const again = await other.call('POST', '/v1/conversations', { kind: 'group', members: ['erase-me'] })
    expectProblem(again, 422, 'user_not_found')
    const start = await backEnd.person({ display_name: 'New' })
    const direct2 = await start.call('POST', '/v1/conversations', { kind: 'direct', members: ['erase-me'] })
    expectProblem(direct2, 422, 'user_not_found')
  })

  test('may be asked for again, but not of nobody', async () => {
    const { id } = await backEnd.person({ display_name: 'Twice' })
    const first = await erase(id)
    const second = await erase(id)
    expect([second.status, second.body.requested_at]).toEqual([202, first.body.requested_at])
    expectProblem(await erase('nobody'), 404, 'not_found')
    expectProblem(await backEnd.call('GET', '/users/nobody/erasure'), 404, 'not_found')
  })

  test('P1 is finished by another node where one is killed in its middle', { timeout: 90_000 }, async () => {
    await using own = await startPostgres()
    const env = { DATABASE_URL: own.url, ADMIN_TOKEN }
    await using dying = new GatewayProcess(env)
    await using surviving = new GatewayProcess(env)
    const [url, other] = await Promise.all([dying.url(), surviving.url()])
    const me = await new BackEnd(url).person({ id: 'me-too', display_name: 'Me' })
    const reader = await Person.signUp(url)
    const chat = await me.direct(reader)
    await using database = new Database({ url: own.url })
    // By the thousand, as sending would be too slow.
    const count = 10_000
    await database.sql`
      INSERT INTO messages (conversation_id, seq, id, sender_id, text, client_id, created_at)
      SELECT ${chat}, n, gen_random_uuid(), 'me-too', 'secret ' || n, n::text, date_trunc('milliseconds', now()) FROM generate_series(1, ${count}::int) n`
    await database.sql`
      INSERT INTO send_keys (sender_id, key, request_hash, conversation_id, seq)
      SELECT 'me-too', n::text, '', ${chat}, n FROM generate_series(1, ${count}::int) n`
    await database.sql`UPDATE conversations SET last_seq = ${count} WHERE id = ${chat}`
    expect((await new BackEnd(url).call('DELETE', '/users/me-too')).status).toBe(202)
    const left = async () => {
      const [row] = await database.sql<{ n: number }[]>`SELECT count(*) AS n FROM messages WHERE text <> ''`
      return row?.n ?? 0
    }
    await until('a part of it', async () => (await left()) < count)
    await dying.kill()
    expect(await left()).toBeGreaterThan(0)
    expect(await erased('me-too', new BackEnd(other))).toMatchObject({ messages_erased: count })
    expect(await left()).toBe(0)
    const { events } = await reader.at(other).readAll()
    const seqs = events.flatMap(({ type, message }) =>
      type === 'message.deleted' && message ? [message.seq] : [],
    )
    expect(seqs).toHaveLength(count)
    expect(new Set(seqs).size).toBe(count)
  })
})
