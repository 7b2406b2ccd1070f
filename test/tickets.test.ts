import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Database } from '../src/store/database.ts'
import { call, Person } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { openStream } from './support/stream.ts'
import { useGateway } from './support/suite.ts'

const { postgres, gateway } = useGateway()
let database: Database

beforeAll(async () => {
  database = new Database({ url: postgres.url, maxConnections: 1 })
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
})

describe('a stream ticket', () => {
  const getTicket = async (person: Person) =>
    String((await person.call('POST', '/v1/stream-tickets')).body.ticket)
  const open = (ticket: string) => openStream(`${gateway.url}/v1/events?as=sse&ticket=${ticket}`, {})

  test('opens /v1/events, in any form and again, as a proxy may repeat it', async () => {
    const person = await Person.signUp(gateway.url)
    const ticket = await getTicket(person)
    using first = await open(ticket)
    using second = await open(ticket)
    const hello = await first.waitForFrame('hello')
    expect((await second.waitForFrame('hello')).id).toBe(hello.id)
    expect((await call(gateway.url, 'GET', `/v1/events?wait=0&after=0&ticket=${ticket}`)).status).toBe(200)
    const kept =
      await database.sql`SELECT 1 FROM stream_tickets WHERE to_jsonb(stream_tickets)::text LIKE ${`%${ticket}%`}`
    expect(kept).toHaveLength(0)
  })

  test('opens nothing else', async () => {
    const ticket = await getTicket(await Person.signUp(gateway.url))
    for (const path of ['users/me', 'conversations', 'sessions']) {
      expect((await call(gateway.url, 'GET', `/v1/${path}?ticket=${ticket}`)).status).toBe(401)
    }
    const headers = { authorization: `Bearer ${ticket}` }
    expect((await call(gateway.url, 'GET', '/v1/events?wait=0', { headers })).status).toBe(401)
    expect((await call(gateway.url, 'POST', `/v1/stream-tickets?ticket=${ticket}`)).status).toBe(401)
  })

  test('that has expired is a stream that says so, and a poll of 401', async () => {
    const person = await Person.signUp(gateway.url)
    const ticket = await getTicket(person)
    const [row] = await database.sql<{ seconds: number }[]>`
      SELECT extract(epoch FROM expires_at - now())::int AS seconds FROM stream_tickets WHERE user_id = ${person.id}`
    expect(row?.seconds).toBeGreaterThan(50)
    expect(row?.seconds).toBeLessThanOrEqual(60)
    await database.sql`UPDATE stream_tickets SET expires_at = now() WHERE user_id = ${person.id}`
    using stream = await open(ticket)
    await stream.waitForEnd()
    expect(stream.frames.map(({ event }) => event)).toEqual(['bye'])
    expect(JSON.parse(stream.frames[0]?.data ?? '')).toMatchObject({ reason: 'ticket_expired' })
    expectProblem(await call(gateway.url, 'GET', `/v1/events?wait=0&ticket=${ticket}`), 401, 'ticket_expired')
  })

  test.each(['', 'nothing', '%00', 'x'.repeat(5_000)])('that is none (%#) is 401', async (ticket) => {
    for (const form of ['wait=0', 'as=sse']) {
      const answer = await call(gateway.url, 'GET', `/v1/events?${form}&ticket=${ticket}`)
      expect(answer.status).toBe(401)
    }
  })
})
