import { expect, onTestFinished, test, vi } from 'vitest'
import type { PushView } from '../store/pushes.ts'
import { FreshViews, freshFromNow } from './fresh-views.ts'

const push = { user_id: 'bob', about: 'harbour', is_announcement: false, from_seq: 1, seq: 3, inbox_id: 7 }
const view: PushView = {
  ...{ seq: 3, kind: 'direct', title: null, sender: 'Alice', content: 'hello', unread_count: 1 },
  ...{ mention_count: 0, devices: [], database_epoch: 'epoch' },
}

test('what was looked up is taken once, for the same messages, while it is fresh and nothing has changed', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const views = new FreshViews()
  const keep = () => views.keep(push, { view, freshUntil: freshFromNow() })
  keep()
  expect(views.take(push)?.view).toBe(view)
  expect(views.take(push)).toBeUndefined()
  keep()
  expect(views.take({ ...push, from_seq: 2 })).toBeUndefined()
  keep()
  expect(views.take({ ...push, seq: 4 })).toBeUndefined()
  keep()
  views.drop(push)
  expect(views.take(push)).toBeUndefined()
  keep()
  vi.advanceTimersByTime(501)
  expect(views.take(push)).toBeUndefined()
})
