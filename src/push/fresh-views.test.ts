import { expect, onTestFinished, test, vi } from 'vitest'
import type { EventType } from '../protocol/types.ts'
import type { PushView } from '../store/pushes.ts'
import { FreshViews, freshFromNow } from './fresh-views.ts'

const push = { user_id: 'bob', about: 'harbour', is_announcement: false, from_seq: 1, seq: 3, inbox_id: 7 }
const view: PushView = {
  ...{ seq: 3, kind: 'direct', title: null, sender: 'Alice', content: 'hello', unread_count: 1 },
  ...{ mention_count: 0, devices: [], database_epoch: 'epoch' },
}

const keptAfter = (change: (views: FreshViews) => void) => {
  const views = new FreshViews()
  views.keep(push, { view, freshUntil: freshFromNow() })
  change(views)
  return views.take(push)
}

const committed = (type: EventType, conversation_id: string | null, ...recipients: string[]) => ({
  ...{ recipients, ids: recipients.map(() => 8), database_epoch: 'epoch' },
  body: { type, conversation_id, json: '{}' },
})

test('what was looked up is taken once, for the same messages, while it is fresh', () => {
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
  vi.advanceTimersByTime(501)
  expect(views.take(push)).toBeUndefined()
})

test.each<EventType>([
  'conversation.read',
  'member.updated',
  'member.removed',
  'message.edited',
  'message.deleted',
])('after %s it is looked up again', (type) => {
  expect(keptAfter((views) => views.notice(committed(type, 'harbour', 'alice', 'bob')))).toBeUndefined()
  expect(keptAfter((views) => views.notice(committed(type, 'harbour', 'alice')))?.view).toBe(view)
  expect(keptAfter((views) => views.notice(committed(type, 'lighthouse', 'bob')))?.view).toBe(view)
})

test('what is dropped is looked up again', () => {
  expect(keptAfter((views) => views.drop(push))).toBeUndefined()
})
