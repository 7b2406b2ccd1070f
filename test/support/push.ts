import { createHash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, onTestFinished } from 'vitest'
import type { Gateway } from '../../src/app.ts'
import { Database } from '../../src/store/database.ts'
import { type Settings, startGateway } from './gateway.ts'
import { Person, vapidKeyOf } from './person.ts'
import { startPostgres, type TestPostgres } from './postgres.ts'
import { PushRecorder } from './push-recorder.ts'

/** Instead of 5 s … */
export const GRACE_MS = 300
/** … of 40 … */
export const LEASE_MS = 3_000
/** … and of 15, 45 and 3. */
export const PUSH_TIMES = { staleMs: 1_500, expireSeconds: 3, shownMs: 200 }

/** A Postgres for a whole suite, there from `beforeAll` on, and gateways over it that wake people by a recorder. */
export function usePush() {
  let postgres: TestPostgres
  let database: Database
  let vapidKey: string | undefined
  beforeAll(async () => {
    postgres = await startPostgres()
    database = new Database({ url: postgres.url })
  })
  afterAll(async () => {
    await database?.[Symbol.asyncDispose]()
    await postgres?.[Symbol.asyncDispose]()
  })

  function startOver(recorder: PushRecorder, { push, ...config }: Settings) {
    const overrides = { send: recorder.send, ...PUSH_TIMES }
    const settings = { ...config, push: { graceMs: GRACE_MS, ...push } }
    return startGateway(postgres.url, settings, { leaseMs: LEASE_MS, push: overrides })
  }

  /** A gateway until the end of the test. */
  async function start(settings: Settings = {}, recorder = new PushRecorder()) {
    const gateway = await startOver(recorder, settings)
    onTestFinished(() => gateway[Symbol.asyncDispose]())
    return { gateway, recorder, url: gateway.url }
  }

  /** A gateway for all tests of a suite; its pushes are accepted at the beginning of each. */
  function useNode(settings: Settings = {}) {
    const recorder = new PushRecorder()
    let gateway: Gateway
    beforeAll(async () => {
      gateway = await startOver(recorder, settings)
    })
    beforeEach(() => recorder.reset())
    afterAll(() => gateway?.[Symbol.asyncDispose]())
    return {
      recorder,
      get url() {
        return gateway.url
      },
    }
  }

  /** The person's device wants to be woken. Returns its endpoint. */
  async function subscribe(person: Person, { silent = false, host = 'push.example' } = {}): Promise<string> {
    const endpoint = `https://${host}/${randomUUID()}`
    vapidKey ??= await vapidKeyOf(person.base)
    await database.sql`
      INSERT INTO push_subscriptions (user_id, device_id, endpoint, endpoint_hash, p256dh, auth, vapid_public_key, silent)
      VALUES (${person.id}, ${person.session.device_id}, ${endpoint}, ${createHash('sha256').update(endpoint).digest()}, 'key', 'auth', ${vapidKey}, ${silent})`
    return endpoint
  }

  async function unsubscribe(person: Person): Promise<void> {
    await database.sql`DELETE FROM push_subscriptions WHERE user_id = ${person.id}`
  }

  /** Two people and their conversation; the second one wants to be woken. */
  async function pair(url: string) {
    const [alice, bob] = [await Person.signUp(url), await Person.signUp(url)]
    await subscribe(bob)
    return { alice, bob, conversation: await alice.direct(bob) }
  }

  /** Somebody is woken: what was committed before has been decided then. */
  async function marker({ url, recorder }: { url: string; recorder: PushRecorder }): Promise<void> {
    const { alice, bob, conversation } = await pair(url)
    await alice.send(conversation, 'marker')
    await recorder.waitFor(bob)
  }

  /** Another database beside that of the suite. */
  async function emptyDatabase(name: string) {
    await database.sql`CREATE DATABASE ${database.sql(name)}`
    const url = new URL(postgres.url)
    url.pathname = name
    return Object.assign(new Database({ url: url.href, maxConnections: 1 }), { url: url.href })
  }

  return {
    ...{ start, useNode, subscribe, unsubscribe, pair, marker, emptyDatabase },
    get database() {
      return database
    },
    get postgres() {
      return postgres
    },
  }
}

/** Reads all there is and says so. */
export async function acknowledge(person: Person, active?: boolean): Promise<string> {
  const { cursor } = await person.readAll()
  const answer = await person.call('PUT', '/v1/devices/current/cursor', { cursor, active })
  if (answer.status !== 204) throw new Error(`not acknowledged: ${answer.text}`)
  return cursor
}
