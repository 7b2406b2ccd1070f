import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { DuePush, PushView } from '../store/pushes.ts'
import { Deliveries } from './deliveries.ts'
import { newPushMetrics } from './metrics.ts'
import type { PushOutcome, SendPush } from './push.ts'
import { PushServices } from './services.ts'

const endpoint = 'https://push.example/1'

const push: DuePush = {
  ...{ user_id: 'bob', about: crypto.randomUUID(), is_announcement: false, from_seq: 1, seq: 1, inbox_id: 1 },
  ...{ withdrawing: false, age_ms: 0, rung: [], refused: [], tries: {}, held: {} },
  targets: [{ user_id: 'bob', device_id: 'phone', endpoint, p256dh: 'key', auth: 'auth', silent: false }],
}
const view: PushView = {
  ...{ seq: 1, kind: 'direct', title: null, sender: 'Alice', content: 'hello', unread_count: 1 },
  ...{ mention_count: 0, devices: [], database_epoch: 'epoch' },
}

const NOW = Date.now()
const metrics = newPushMetrics()
let alarms: unknown[][]
let errors: unknown[]

beforeEach(() => {
  alarms = []
  errors = []
})

function deliveriesBy(send: SendPush, services = new PushServices()): Deliveries {
  return new Deliveries({
    ...{ send, services, previews: true, metrics, now: () => NOW },
    unsubscribe: async () => true,
    onAlarm: (...alarm) => void alarms.push(alarm),
    onError: (error) => void errors.push(error),
  })
}

const look = (ms: number) => ({
  ...{ lines: new Map(), signal: new AbortController().signal },
  freshUntil: performance.now() + ms,
})

test('a push that gets its place at the service only when it is no longer fresh is put off, not sent', async () => {
  const services = new PushServices()
  // As many as there is room for.
  const taken = await Promise.all(Array.from({ length: 128 }, () => services.enter(endpoint)))
  let sent = 0
  const deliveries = deliveriesBy(async () => {
    sent += 1
    return { type: 'accepted' }
  }, services)
  const late = deliveries.deliver({ push, view }, look(50))
  const soon = deliveries.deliver({ push, view }, look(30_000))
  setTimeout(() => {
    for (const place of taken) if (!('afterMs' in place)) place[Symbol.dispose]()
  }, 100)
  expect(await late).toEqual({
    ...{ rung: [], refused: [] },
    tries: { phone: { attempts: 0, at: expect.any(Number) } },
  })
  expect(await soon).toEqual({ rung: ['phone'], refused: [], tries: {} })
  expect(sent).toBe(1)
})

/** After how many ms a push is tried again that has had so many attempts before. */
async function againMs(outcome: PushOutcome, attempts: number): Promise<number> {
  const tried: DuePush = { ...push, tries: { phone: { attempts, at: 0 } } }
  const deliveries = deliveriesBy(async () => outcome)
  const { tries } = await deliveries.deliver({ push: tried, view }, look(30_000))
  expect(tries.phone?.attempts).toBe(attempts + 1)
  return (tries.phone?.at ?? 0) - NOW
}

describe.each<PushOutcome>([
  { type: 'retry', afterMs: undefined, reason: '503' },
  { type: 'rejected', status: 401, reason: 'unknown key' },
  { type: 'rejected', status: 403, reason: 'unknown key' },
])('what was answered with %j is tried again', (outcome) => {
  test.each([
    [0, 1_000, 1_500],
    [1, 2_000, 3_000],
    [11, 2_048_000, 3_072_000],
    [12, 3_600_000, 3_600_000],
    [1_000, 3_600_000, 3_600_000],
  ])('after %i attempts before in %i to %i ms', async (attempts, least, most) => {
    for (let n = 0; n < 50; n += 1) {
      const ms = await againMs(outcome, attempts)
      expect(ms).toBeGreaterThanOrEqual(least)
      expect(ms).toBeLessThanOrEqual(most)
    }
  })
})

test('a service may ask for more than an hour, and not for less than a second', async () => {
  expect(await againMs({ type: 'retry', afterMs: 7_200_000, reason: '503' }, 0)).toBe(7_200_000)
  expect(await againMs({ type: 'retry', afterMs: 0, reason: '503' }, 0)).toBeGreaterThanOrEqual(1_000)
})

test('an alarm says of whom it is, and whether they ever took a push', async () => {
  const outcomes: PushOutcome[] = [
    { type: 'rejected', status: 403, reason: 'unknown key' },
    { type: 'accepted' },
    { type: 'rejected', status: 401, reason: 'unknown key' },
  ]
  const deliveries = deliveriesBy(async () => outcomes.shift() ?? { type: 'gone' })
  for (let n = 0; n < 3; n += 1) await deliveries.deliver({ push, view }, look(30_000))
  expect(alarms).toEqual([
    ['https://push.example', 'unknown key', false],
    ['https://push.example', 'unknown key', true],
  ])
})

test('what fails here is told of once a minute, whatever number of pushes it is', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  let reason = 'no key'
  const deliveries = deliveriesBy(() => Promise.reject(new Error(reason)))
  for (let n = 0; n < 20; n += 1) await deliveries.deliver({ push, view }, look(30_000))
  expect(errors).toEqual([new Error('no key')])
  reason = 'no thread'
  await deliveries.deliver({ push, view }, look(30_000))
  expect(errors).toEqual([new Error('no key'), new Error('no thread')])
  vi.advanceTimersByTime(60_000)
  await deliveries.deliver({ push, view }, look(30_000))
  expect(errors).toHaveLength(3)
})
