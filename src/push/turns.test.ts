import { expect, test } from 'vitest'
import type { DuePush, PushView } from '../store/pushes.ts'
import { FreshViews } from './fresh-views.ts'
import { newPushMetrics } from './metrics.ts'
import { Turns } from './turns.ts'

const push = (about: string): DuePush => ({
  ...{ user_id: 'bob', about, is_announcement: false, from_seq: 1, seq: 1, inbox_id: 1 },
  ...{ withdrawing: false, age_ms: 0, rung: [], refused: [], tries: {}, held: {}, targets: [] },
})
const view: PushView = {
  ...{ seq: 1, kind: 'direct', title: null, sender: 'Alice', content: 'hello', unread_count: 1 },
  ...{ mention_count: 0, devices: [], database_epoch: 'epoch' },
}

test('what becomes due while a push service is slow does not wait for it', async () => {
  const queued = [{ id: '1', user_id: 'bob' }]
  const due = [push('one')]
  const slow = Promise.withResolvers<void>()
  const begun = { one: Promise.withResolvers<void>(), two: Promise.withResolvers<void>() }
  await using turns = new Turns({
    freshViews: new FreshViews(),
    queue: { take: async () => queued.splice(0), finish: async () => {}, add: async () => {} },
    store: {
      due: async () => [...due],
      views: async (pushes) => pushes.map(() => view),
      ...{ settle: async () => {}, dues: async () => [] },
    },
    deliveries: {
      async deliver({ push: { about } }) {
        begun[about as 'one' | 'two'].resolve()
        if (about === 'one') await slow.promise
        return { rung: ['phone'], refused: [], tries: {} }
      },
    },
    ...{ epochOf: () => 'epoch', metrics: newPushMetrics(), now: () => Date.now(), turnMs: 30_000 },
    pace: { pushesPerSecond: 1_000 },
    onError: (error) => expect.fail(String(error)),
  })
  await begun.one.promise
  const began = performance.now()
  due.push(push('two'))
  turns.wake(new Set(['bob']))
  await begun.two.promise
  // A round, after which it would be looked anyway, takes 1 s.
  expect(performance.now() - began).toBeLessThan(900)
  slow.resolve()
})
