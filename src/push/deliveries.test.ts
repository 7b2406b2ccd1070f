import { expect, test } from 'vitest'
import type { DuePush, PushView } from '../store/pushes.ts'
import { Deliveries } from './deliveries.ts'
import { newPushMetrics } from './metrics.ts'
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

test('a push that gets its place at the service only when it is no longer fresh is put off, not sent', async () => {
  const services = new PushServices()
  // As many as there is room for.
  const taken = await Promise.all(Array.from({ length: 128 }, () => services.enter(endpoint)))
  let sent = 0
  const deliveries = new Deliveries({
    ...{ services, previews: true, metrics: newPushMetrics(), now: () => Date.now() },
    send: async () => {
      sent += 1
      return { type: 'accepted' }
    },
    unsubscribe: async () => true,
    ...{ onAlarm: () => {}, onError: () => {} },
  })
  const look = (ms: number) => ({
    ...{ lines: new Map(), signal: new AbortController().signal },
    freshUntil: performance.now() + ms,
  })
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
