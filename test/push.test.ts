import { createHash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Gateway, Overrides } from '../src/app.ts'
import { Database } from '../src/store/database.ts'
import { startGateway } from './support/gateway.ts'
import { Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { PushRecorder } from './support/push-recorder.ts'

const GRACE_MS = 300
/** Instead of 40 s. */
const LEASE_MS = 2_000

let postgres: TestPostgres
let database: Database

beforeAll(async () => {
  postgres = await startPostgres()
  database = new Database({ url: postgres.url })
})

afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

async function start(
  config: Parameters<typeof startGateway>[1] = {},
  overrides: Overrides = {},
  recorder = new PushRecorder(),
): Promise<{ gateway: Gateway; recorder: PushRecorder }> {
  const push = { send: recorder.send, graceMs: GRACE_MS, staleMs: 1_500 }
  const gateway = await startGateway(postgres.url, config, { leaseMs: LEASE_MS, push, ...overrides })
  onTestFinished(() => gateway[Symbol.asyncDispose]())
  return { gateway, recorder }
}

async function subscribe(person: Person, { silent = false, host = 'push.example' } = {}): Promise<string> {
  const endpoint = `https://${host}/${randomUUID()}`
  await database.sql`
    INSERT INTO push_subscriptions (user_id, device_id, endpoint, endpoint_hash, p256dh, auth, vapid_public_key, silent)
    VALUES (${person.id}, ${person.session.device_id}, ${endpoint}, ${createHash('sha256').update(endpoint).digest()}, 'key', 'auth', 'vapid', ${silent})`
  return endpoint
}

async function pair(url: string): Promise<{ alice: Person; bob: Person; conversation: string }> {
  const [alice, bob] = [await Person.signUp(url), await Person.signUp(url)]
  await subscribe(bob)
  return { alice, bob, conversation: await alice.direct(bob) }
}

/** Whoever is pushed to after what a test is about: what it forbids would have come before. */
async function marker(url: string, recorder: PushRecorder): Promise<void> {
  const { alice, bob, conversation } = await pair(url)
  await alice.send(conversation, 'marker')
  await recorder.waitFor(bob)
}

test('whoever is away is rung once until they have read it, with what there is then', async () => {
  const { gateway, recorder } = await start()
  const { alice, bob, conversation } = await pair(gateway.url)
  await alice.send(conversation, 'one')
  await alice.send(conversation, 'two')
  const [sent] = await recorder.waitFor(bob)
  expect(sent?.payload).toEqual({
    ...{ type: 'message', conversation_id: conversation, preview: 'two', unread_count: 2, mention_count: 0 },
    ...{ title: alice.session.user.display_name, sender: alice.session.user.display_name },
  })
  expect(sent?.options).toMatchObject({ urgency: 'high', topic: expect.stringMatching(/^[\w-]{22}$/) })
  await alice.send(conversation, 'three')
  await marker(gateway.url, recorder)
  expect(recorder.to(bob)).toHaveLength(1)
  expect(recorder.to(alice)).toEqual([])
  await bob.call('PUT', `/v1/conversations/${conversation}/read`, { seq: 3 })
  await alice.send(conversation, 'four')
  const [, again] = await recorder.waitFor(bob, 2)
  expect(again?.payload).toMatchObject({ preview: 'four', unread_count: 1 })
})
