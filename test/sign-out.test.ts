import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import { Database } from '../src/store/database.ts'
import { startGateway } from './support/gateway.ts'
import { HeldTransaction } from './support/held-transaction.ts'
import { call, Person } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

type Devices = { sessions: { device_id: string; name: string | null; current: boolean }[] }

const { postgres, gateway } = useGateway()
let elsewhere: Gateway

beforeAll(async () => {
  elsewhere = await startGateway(postgres.url)
})

afterAll(async () => {
  await elsewhere?.[Symbol.asyncDispose]()
})

const signOut = (person: Person, device: string) => person.call('DELETE', `/v1/sessions/${device}`)
const refresh = ({ session }: Person) =>
  call(gateway.url, 'POST', '/v1/sessions/refresh', { body: { refresh_token: session.refresh_token } })

/** All that a device may have open: two streams and a parked poll, on `base`. */
async function openAll(device: Person, base: string) {
  const { body } = await device.call<{ ticket: string }>('POST', '/v1/stream-tickets')
  const there = device.at(base)
  const streams = [await there.stream(), await there.stream('heartbeat=50', { accept: 'text/event-stream' })]
  await Promise.all(streams.map((stream) => stream.waitForFrame('heartbeat')))
  const { cursor } = await there.readAll()
  let ended = false
  const poll = there.poll(`wait=55&after=${cursor}`).finally(() => {
    ended = true
  })
  return { streams, poll, ticket: body.ticket, pollHasEnded: () => ended }
}

describe('my devices', () => {
  test('are listed, with the one that asks', async () => {
    const laptop = await Person.signUp(gateway.url)
    const { username } = laptop.session.user
    const named = { username, password: 'correct horse', device_name: 'phone' }
    const phone = await call(gateway.url, 'POST', '/v1/sessions', { body: named })
    const { sessions } = (await laptop.call<Devices>('GET', '/v1/sessions')).body
    expect(sessions.map(({ device_id, name, current }) => [device_id, name, current])).toEqual([
      [phone.body.device_id, 'phone', false],
      [laptop.session.device_id, null, true],
    ])
  })

  test('P6 are mine alone', async () => {
    const mine = await Person.signUp(gateway.url)
    const theirs = await Person.signUp(gateway.url)
    const foreign = expectProblem(await signOut(mine, theirs.session.device_id), 404, 'not_found')
    expect(expectProblem(await signOut(mine, 'nothing'), 404, 'not_found')).toEqual(foreign)
    expect((await theirs.call('GET', '/v1/users/me')).status).toBe(200)
  })
})

describe('P6 signing a device out', () => {
  test.each([
    ['here, as `current`', () => gateway.url, (device: Person) => signOut(device, 'current')],
    [
      'here, from another device',
      () => gateway.url,
      async (device: Person) => signOut(await device.anotherDevice(), device.session.device_id),
    ],
    ['on another node', () => elsewhere.url, (device: Person) => signOut(device, 'current')],
  ])('%s ends its tokens, streams and polls within 5 s', async (_, base, act) => {
    const device = await Person.signUp(gateway.url)
    const other = await device.anotherDevice()
    using kept = await other.at(base()).stream()
    const { streams, poll, ticket, pollHasEnded } = await openAll(device, base())

    expect((await act(device)).status).toBe(204)
    const since = performance.now()
    // At once where it happened …
    expect((await device.call('GET', '/v1/users/me')).status).toBe(401)
    expect((await refresh(device)).status).toBe(401)
    expectProblem(await call(gateway.url, 'GET', `/v1/events?wait=0&ticket=${ticket}`), 401, 'ticket_invalid')
    // … and everywhere soon.
    await until('the streams to end', () => streams.every(({ ended }) => ended), 5_000)
    await until('the poll to end', pollHasEnded, 5_000)
    await until(
      'the token to die',
      async () => (await device.at(base()).call('GET', '/v1/users/me')).status === 401,
      5_000,
    )
    expect(performance.now() - since).toBeLessThan(5_000)
    for (const stream of streams) {
      const bye = stream.frames.at(-1)
      expect(bye?.event).toBe('bye')
      expect(JSON.parse(bye?.data ?? '')).toEqual({ reason: 'signed_out', retry_ms: expect.any(Number) })
      expect(bye?.retry).toBe(JSON.parse(bye?.data ?? '').retry_ms)
    }
    expect((await poll).status).toBe(401)
    expect((await other.call('GET', '/v1/users/me')).status).toBe(200)
    expect(kept.ended).toBe(false)
  })

  test('reaches a stream that was just being opened', async () => {
    const device = await Person.signUp(gateway.url)
    await device.call('GET', '/v1/users/me')
    const epoch = (await device.at(elsewhere.url).readAll()).cursor.split('-')[0]
    await using database = new Database({ url: postgres.url, maxConnections: 1 })
    await using lock = new HeldTransaction(postgres.url, (tx) => tx`LOCK TABLE inbox_heads`)
    await lock.held
    const opening = device.stream(`after=${epoch}-0`).catch((error: Error) => error)
    await until('the opening to wait', async () => {
      const waiting = database.sql`
        SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%next_id%' AND pid <> pg_backend_pid()`
      return (await waiting).length > 0
    })
    expect((await signOut(device, 'current')).status).toBe(204)
    await lock.commit()
    const stream = await opening
    if (stream instanceof Error) {
      expect(stream.message).toContain('401')
      return
    }
    await until('its end', () => stream.ended, 5_000)
    expect(JSON.parse(stream.frames.at(-1)?.data ?? '')).toMatchObject({ reason: 'signed_out' })
  })

  test('twice is 404 for the other device, 401 for itself', async () => {
    const device = await Person.signUp(gateway.url)
    const other = await device.anotherDevice()
    await signOut(device, other.session.device_id)
    expectProblem(await signOut(device, other.session.device_id), 404, 'not_found')
    expect((await signOut(other, 'current')).status).toBe(401)
  })
})

describe('changing the password', () => {
  const change = (person: Person, old: string, to: string) =>
    person.call('PUT', '/v1/users/me/password', { old, new: to })

  test('signs the other devices out, with their streams, and not this one', async () => {
    const device = await Person.signUp(gateway.url)
    const other = await device.anotherDevice()
    using own = await device.stream()
    using ended = await other.stream()
    using far = await other.at(elsewhere.url).stream()
    await Promise.all([own, ended, far].map((stream) => stream.waitForFrame('heartbeat')))
    expect((await change(device, 'correct horse', 'battery staple')).status).toBe(204)
    expect((await other.call('GET', '/v1/users/me')).status).toBe(401)
    expect((await refresh(other)).status).toBe(401)
    await until('the streams to end', () => ended.ended && far.ended, 5_000)
    expect(JSON.parse(far.frames.at(-1)?.data ?? '')).toMatchObject({ reason: 'signed_out' })
    expect(own.ended).toBe(false)
    expect((await device.call('GET', '/v1/users/me')).status).toBe(200)
    const { username } = device.session.user
    const signIn = (password: string) =>
      call(gateway.url, 'POST', '/v1/sessions', { body: { username, password } })
    expectProblem(await signIn('correct horse'), 401, 'bad_credentials')
    expect((await signIn('battery staple')).status).toBe(201)
  })

  test('needs the old one, and a new one that will do', async () => {
    const device = await Person.signUp(gateway.url)
    const other = await device.anotherDevice()
    expect((await change(device, 'wrong', 'battery staple')).status).toBeGreaterThanOrEqual(400)
    expectProblem(await change(device, 'correct horse', 'short'), 422, 'validation_failed')
    expect((await other.call('GET', '/v1/users/me')).status).toBe(200)
  })
})
