import { expect, test } from 'vitest'
import { encodeEvent } from '../protocol/event.ts'
import { encodeHints, HintReader } from './hint-codec.ts'

const at = '2026-11-21T09:00:00.000Z'
const announce = (text: string, ids = [4211, 7]) => ({
  recipients: ids.map(String),
  ids,
  database_epoch: 'e1',
  body: encodeEvent({ type: 'announcement', at, text }),
})

test('a hint is the event as JSON, with its id and the life of the database', () => {
  const [first, second] = [...encodeHints(announce('Grüße'))].map((each) => JSON.parse(each.toString()))
  expect(first).toEqual({ database_epoch: 'e1', id: 4211, type: 'announcement', at, text: 'Grüße' })
  expect(second.id).toBe(7)
})

test('reads what it encodes; the body of one event is shared by its recipients', () => {
  const announcement = announce('Grüße')
  const reader = new HintReader()
  const [first, second] = [...encodeHints(announcement)].map((each) => reader.read(each))
  expect(first).toEqual({ id: 4211, database_epoch: 'e1', body: announcement.body })
  expect(second?.body).toBe(first?.body)
  const member = {
    ...announcement,
    body: encodeEvent({ type: 'member.removed', at, conversation_id: 'c', user_id: 'u' }),
  }
  expect([...encodeHints(member)].map((each) => reader.read(each)?.body)).toEqual([member.body, member.body])
})

test('an event over 8 KB goes without its body', () => {
  const [payload] = encodeHints(announce('ü'.repeat(4_200)))
  expect(payload?.toString()).toBe('{"database_epoch":"e1","id":4211}')
  expect(new HintReader().read(payload as Buffer)).toEqual({ id: 4211, database_epoch: 'e1' })
})

test.each([
  '',
  '{}',
  'x',
  '{"id":1}',
  '{"database_epoch":"e1","id":1,',
  '{"database_epoch":"e1","id":1,"type":5}',
])('what no node sent is nothing: %s', (text) => {
  expect(new HintReader().read(Buffer.from(text))).toBeUndefined()
})
