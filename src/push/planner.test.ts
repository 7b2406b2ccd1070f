import { expect, test } from 'vitest'
import type { Candidate, PushView } from '../store/pushes.ts'
import { FreshViews } from './fresh-views.ts'
import { newPushMetrics } from './metrics.ts'
import { Planner } from './planner.ts'

const VIEW: PushView = {
  ...{ seq: 1, kind: 'group', title: null, sender: null, content: null, unread_count: 1, mention_count: 0 },
  ...{ devices: [], database_epoch: '1' },
}

function fail(error: unknown): never {
  throw error
}

/** How many people were judged at a time, of so many that are due. */
async function batches(count: number, judgedPerSecond: number): Promise<number[]> {
  const sizes: number[] = []
  const { promise: isDone, resolve } = Promise.withResolvers<void>()
  let left = count
  await using planner = new Planner({
    freshViews: new FreshViews(),
    store: {
      hasSubscriptions: async () => true,
      subscribed: async () => new Set(),
      views: async (batch) => {
        sizes.push(batch.length)
        left -= batch.length
        if (left === 0) resolve()
        return batch.map(() => VIEW)
      },
      plan: async () => [],
      withdraw: async () => [],
    },
    ...{ epochOf: () => '1', graceMs: 0, metrics: newPushMetrics(), onError: fail },
    pace: { judgedPerSecond, arrived: () => {} },
    onWanted: () => {},
    onDue: async () => {},
  })
  const people = Array.from({ length: count }, (_, n): Candidate & { age_ms: number } => ({
    ...{ user_id: `u${n}`, about: 'c', is_announcement: false, from_seq: 1, seq: 1, inbox_id: 1, age_ms: 0 },
  }))
  planner.takeOwed(people)
  await isDone
  return sizes
}

test('many who are due at once are judged together', async () => {
  expect(await batches(1_200, 10_000_000)).toEqual([500, 500, 200])
})

test('beside many sends they are judged a few at a time', async () => {
  // Those of half a second at most, however late this is.
  expect(Math.max(...(await batches(300, 500)))).toBeLessThanOrEqual(250)
})
