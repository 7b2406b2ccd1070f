import { expect, test } from 'vitest'
import { type Announcement, encodeEvent } from '../protocol/event.ts'
import { encodeAnnouncement, encodeHints, HintReader, readAnnouncement } from './hint-codec.ts'

const at = '2026-11-21T09:00:00.000Z'
const announce = (text: string, ids = [4211, 7]) => ({
  recipients: ids.map(String),
  ids,
  database_epoch: 'e1',
  body: encodeEvent({ type: 'announcement', at, text }),
})

/** The payloads, as NATS would cut them out. */
function payloads(announcement: Announcement): Buffer[] {
  let rest = encodeHints(
    announcement,
    announcement.recipients.map((id) => `inbox.${id}`),
  )
  const found: Buffer[] = []
  while (rest.length > 0) {
    const [command = '', subject, length] = /^PUB (\S+) (\d+)\r\n/.exec(rest.toString('latin1')) ?? []
    const end = command.length + Number(length)
    expect(subject).toBe(`inbox.${announcement.recipients[found.length]}`)
    expect(rest.toString('latin1', end, end + 2)).toBe('\r\n')
    found.push(rest.subarray(command.length, end))
    rest = rest.subarray(end + 2)
  }
  return found
}

test('a hint is the event as JSON, with its id and the life of the database', () => {
  const [first, second] = [...payloads(announce('Grüße'))].map((each) => JSON.parse(each.toString()))
  expect(first).toEqual({ database_epoch: 'e1', id: 4211, type: 'announcement', at, text: 'Grüße' })
  expect(second.id).toBe(7)
})

test('reads what it encodes; the body of one event is shared by its recipients', () => {
  const announcement = announce('Grüße')
  const reader = new HintReader()
  const [first, second] = [...payloads(announcement)].map((each) => reader.read(each))
  expect(first).toEqual({ id: 4211, database_epoch: 'e1', body: announcement.body })
  expect(second?.body).toBe(first?.body)
  const member = {
    ...announcement,
    body: encodeEvent({ type: 'member.removed', at, conversation_id: 'c', user_id: 'u' }),
  }
  expect([...payloads(member)].map((each) => reader.read(each)?.body)).toEqual([member.body, member.body])
})

test('an event over 8 KB goes without its body', () => {
  const [payload] = payloads(announce('ü'.repeat(4_200)))
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
  const reader = new HintReader()
  expect(reader.read(Buffer.from(text))).toBeUndefined()
  // Nor behind one that a node sent, and what nodes send next is read as ever.
  const announcement = announce('Grüße')
  const [first, second] = [...payloads(announcement)] as [Buffer, Buffer]
  expect(reader.read(first)).toBeDefined()
  expect(reader.read(Buffer.from(text))).toBeUndefined()
  expect(reader.read(second)).toEqual({ id: 7, database_epoch: 'e1', body: announcement.body })
})

test.each(['Grüße', 'two\nlines', 'ü'.repeat(4_200)])('one piece for all nodes: %s', (text) => {
  const { body, ...rest } = announce(text)
  const piece = encodeAnnouncement({ ...rest, body })
  expect(readAnnouncement(piece)).toEqual({ ...rest, body: text.length > 1_000 ? undefined : body })
})

test.each([
  '',
  '{}',
  'null',
  '{"database_epoch":"e1","ids":[1],"recipients":["a"]}\n',
  '{"database_epoch":"e1","ids":[1],"recipients":["a"]}\n{"type":5}',
  '{"database_epoch":"e1","ids":1,"recipients":["a"]}\n{"type":"redacted"}',
])('what no node sent as one piece is nothing: %s', (text) => {
  expect(readAnnouncement(Buffer.from(text))).toBeUndefined()
})
