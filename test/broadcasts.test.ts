import { beforeAll, describe, expect, test } from 'vitest'
import type { Broadcast } from '../src/store/broadcasts.ts'
import { Database } from '../src/store/database.ts'
import { ADMIN_TOKEN, BackEnd } from './support/back-end.ts'
import { startGateway } from './support/gateway.ts'
import { GatewayProcess } from './support/gateway-process.ts'
import { HeldTransaction } from './support/held-transaction.ts'
import { NatsServer } from './support/nats-server.ts'
import { Person } from './support/person.ts'
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

const progressOf = async (id: string, by = backEnd) =>
  (await by.call<Broadcast>('GET', `/broadcasts/${id}`)).body
const completed = (id: string, by = backEnd) =>
  until('the broadcast to be completed', async () => {
    const broadcast = await progressOf(id, by)
    return broadcast.completed_at !== null && broadcast
  })
const announce = async (text: string) => {
  const { body } = await backEnd.call<Broadcast>('POST', '/broadcasts', { text })
  return completed(body.id)
}
type Announcements = { announcements: { id: string; text: string }[]; next: string | null }
const announcementsOf = async (person: Person, query = '') =>
  (await person.call<Announcements>('GET', `/v1/announcements${query}`)).body

/** Users by the thousand, as sign-up would be too slow. */
async function addUsers(url: string, count: number, prefix: string): Promise<void> {
  await using database = new Database({ url })
  await database.sql`
    WITH made AS (
      INSERT INTO users (id, display_name, display_name_folded)
      SELECT ${prefix} || n, 'Somebody', 'somebody' FROM generate_series(1, ${count}::int) AS n RETURNING id)
    INSERT INTO inbox_heads (user_id) SELECT id FROM made`
}

describe('a broadcast', () => {
  test('reaches everybody, live on every node, and is read again', async () => {
    const people = await Promise.all([1, 2, 3].map(() => Person.signUp(gateway.url)))
    const [here, there, away] = people as [Person, Person, Person]
    using first = await here.stream()
    using second = await there.at(elsewhere.url).stream()
    await Promise.all([first, second].map((stream) => stream.waitForFrame('heartbeat')))
    const posted = await backEnd.call<Broadcast>('POST', '/broadcasts', { text: 'Down at noon' })
    expect(posted.status).toBe(202)
    expect(posted.body).toMatchObject({ text: 'Down at noon', recipients_done: 0, completed_at: null })
    const event = {
      ...{ id: 1, type: 'announcement', at: expect.any(String) },
      ...{ announcement_id: posted.body.id, text: 'Down at noon' },
    }
    for (const stream of [first, second]) {
      await until('the announcement', () => stream.events.length > 0)
      expect(stream.events).toEqual([event])
    }
    expect((await away.readAll()).events).toEqual([event])
    const done = await completed(posted.body.id)
    expect(done.recipients_done).toBe(done.recipients_total)
    expect(done.recipients_done).toBeGreaterThanOrEqual(3)
    const list = await backEnd.call<{ broadcasts: Broadcast[] }>('GET', '/broadcasts')
    expect(list.body.broadcasts[0]).toEqual(done)
  })

  test('is listed for those who had an account by then, newest first, in pages', async () => {
    const before = await Person.signUp(gateway.url)
    const texts = ['one', 'two', 'three']
    for (const text of texts) await announce(text)
    const after = await Person.signUp(gateway.url)
    const { announcements } = await announcementsOf(before)
    expect(announcements.map(({ text }) => text)).toEqual(texts.toReversed())
    expect(Object.keys(announcements[0] ?? {}).sort()).toEqual(['created_at', 'id', 'text'])
    expect(await announcementsOf(after)).toEqual({ announcements: [], next: null })
    expect((await after.readAll()).events).toEqual([])
    const first = await announcementsOf(before, '?limit=2')
    expect(first.announcements).toEqual(announcements.slice(0, 2))
    const second = await announcementsOf(before, `?limit=2&before=${first.next}`)
    expect(second).toEqual({ announcements: announcements.slice(2), next: null })
    expectProblem(await before.call('GET', '/v1/announcements?before=x'), 422, 'validation_failed')
  })

  test('is made once per Idempotency-Key, and only from a good text', async () => {
    const person = await Person.signUp(gateway.url)
    const key = { 'idempotency-key': 'once' }
    const post = (text: unknown) => backEnd.call<Broadcast>('POST', '/broadcasts', { text }, key)
    const answers = await Promise.all([1, 2, 3].map(() => post('Only once')))
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202])
    const ids = new Set(answers.map(({ body }) => body.id))
    expect(ids.size).toBe(1)
    for (const id of ids) await completed(id)
    expect((await person.readAll()).events).toHaveLength(1)
    expectProblem(await post('Twice'), 422, 'idempotency_mismatch')
    for (const text of ['', undefined, 7, 'a\0b']) {
      expectProblem(await backEnd.call('POST', '/broadcasts', { text }), 422, 'validation_failed')
    }
    expectProblem(
      await backEnd.call('POST', '/broadcasts', { text: 'x'.repeat(2_001) }),
      422,
      'text_too_long',
    )
    for (const id of ['x', '0190e2e6-0000-7000-8000-000000000000']) {
      expectProblem(await backEnd.call('GET', `/broadcasts/${id}`), 404, 'not_found')
      expectProblem(await backEnd.call('DELETE', `/broadcasts/${id}`), 404, 'not_found')
    }
  })

  test('that was withdrawn is read again as redacted, also where it was just streamed, and listed no more', async () => {
    const person = await Person.signUp(gateway.url)
    const at = await person.readAll()
    using live = await person.stream()
    await live.waitForFrame('heartbeat')
    const { id } = await announce('A mistake')
    await until('it live', () => live.events.length === 1)
    expect((await backEnd.call('DELETE', `/broadcasts/${id}`)).status).toBe(204)
    expect((await backEnd.call('DELETE', `/broadcasts/${id}`)).status).toBe(204)
    const redacted = { id: 1, type: 'redacted', at: expect.any(String) }
    expect((await person.poll(`wait=25&after=${at.cursor}`)).body.events).toEqual([redacted])
    using again = await person.stream(`after=${at.cursor}`)
    await until('it again', () => again.events.length === 1)
    expect(again.events).toEqual([redacted])
    expect((await announcementsOf(person)).announcements).toEqual([])
    expect((await progressOf(id)).withdrawn_at).toMatch(/Z$/)
  })

  test('that was withdrawn on one node is remembered by no other', async () => {
    await using nats = await NatsServer.start()
    const config = { adminToken: ADMIN_TOKEN, nats: { servers: [`127.0.0.1:${nats.port}`] } }
    await using one = await startGateway(postgres.url, config)
    await using other = await startGateway(postgres.url, config)
    const person = (await Person.signUp(one.url)).at(other.url)
    const { cursor } = await person.readAll()
    using live = await person.stream()
    await live.waitForFrame('heartbeat')
    const { body } = await new BackEnd(one.url).call<Broadcast>('POST', '/broadcasts', { text: 'A mistake' })
    await until('it live', () => live.events.length === 1)
    await completed(body.id)
    const again = async () => {
      using stream = await person.stream(`after=${cursor}`)
      await until('it again', () => stream.events.length === 1)
      return stream.events[0]?.type
    }
    expect(await again()).toBe('announcement')
    await new BackEnd(one.url).call('DELETE', `/broadcasts/${body.id}`)
    await until('it to be forgotten', async () => (await again()) === 'redacted')
  })

  test('that is withdrawn under way stops', async () => {
    await addUsers(postgres.url, 2_500, 'stopped-')
    // Whoever holds a head holds it up: these come last.
    const held = 'stopped-999'
    await using holder = new HeldTransaction(postgres.url, (tx) =>
      tx.unsafe(`SELECT 1 FROM inbox_heads WHERE user_id = '${held}' FOR UPDATE`),
    )
    await holder.held
    const { body } = await backEnd.call<Broadcast>('POST', '/broadcasts', { text: 'Stop me' })
    await until('some of it', async () => (await progressOf(body.id)).recipients_done >= 1_000)
    expect((await backEnd.call('DELETE', `/broadcasts/${body.id}`)).status).toBe(204)
    await holder.commit()
    // The next one is brought to all, so that whatever was to come of this one has come.
    await announce('Go on')
    await using database = new Database({ url: postgres.url })
    const inboxes = await database.sql`
      SELECT detail->>'announcement_id' AS id, count(*) FROM inbox
      WHERE user_id LIKE 'stopped-%' GROUP BY 1 ORDER BY 2`
    expect(inboxes.map(({ count }) => count)[1]).toBe(2_500)
    expect(inboxes.map(({ count }) => count)[0]).toBeLessThan(2_500)
    expect((await progressOf(body.id)).completed_at).toBeNull()
  })
})

test('P1 a broadcast reaches each user exactly once, whichever node is killed meanwhile', {
  timeout: 60_000,
}, async () => {
  await using own = await startPostgres()
  const env = { DATABASE_URL: own.url, ADMIN_TOKEN }
  const nodes = [new GatewayProcess(env), new GatewayProcess(env)]
  await using stack = new AsyncDisposableStack()
  for (const node of nodes) stack.use(node)
  const urls = await Promise.all(nodes.map((node) => node.url()))
  const count = 60_000
  await addUsers(own.url, count, 'u-')
  await using database = new Database({ url: own.url })
  const read = async () => {
    const [row] = await database.sql<{ done: number; completed: boolean }[]>`
      SELECT recipients_done AS done, completed_at IS NOT NULL AS completed FROM broadcasts`
    return row
  }
  const { body } = await new BackEnd(urls[0] ?? '').call<Broadcast>('POST', '/broadcasts', {
    text: 'All of you',
  })
  await until('a part of it', async () => ((await read())?.done ?? 0) > count / 10)
  await nodes[0]?.kill()
  const then = await read()
  expect(then?.completed).toBe(false)
  await until('the rest', async () => (await read())?.completed, 30_000)
  const last = await progressOf(body.id, new BackEnd(urls[1] ?? ''))
  expect(last).toMatchObject({ recipients_done: count, recipients_total: count })
  const [inboxes] = await database.sql<{ users: number; rows: number; heads: number }[]>`
    SELECT count(DISTINCT user_id) AS users, count(*) AS rows,
      (SELECT count(*) FROM inbox_heads WHERE last_id = 1) AS heads FROM inbox`
  expect(inboxes).toEqual({ users: count, rows: count, heads: count })
  const [text] = await database.sql`SELECT count(*) FROM inbox WHERE detail::text LIKE '%All of you%'`
  expect(text?.count).toBe(0)
})
