import { type Connection, DeviceLog, type SeenEvent } from '../history/device-log.ts'
import type { ConversationRecord, MembershipRecord, SendRecord } from '../history/history.ts'
import { Names } from '../history/names.ts'

const names = new Names()

/** A send that was answered at once, or as given. */
export function aSend(given: Partial<SendRecord> & { text: number }): SendRecord {
  return {
    key: `key ${given.text}`,
    sender: 'anna',
    conversation: 'room',
    startedAt: given.text * 100,
    triedAt: given.text * 100,
    endedAt: given.text * 100 + 10,
    tries: 1,
    outcome: 'ok',
    status: 201,
    answers: [],
    ...given,
  }
}

/** A conversation whose messages have these texts, all from anna, who was always there. */
export function aConversation(
  texts: readonly number[],
  members: readonly string[] = ['anna', 'ben'],
): ConversationRecord {
  const messages = texts.map((text, index) => ({ seq: index + 1, sender: 'anna', text, id: `m${text}` }))
  return { id: 'room', kind: 'group', witness: 'anna', members, messages }
}

/** A stream that was open all the time, or as given. */
export function aConnection(given: Partial<Connection> = {}): Connection {
  return {
    transport: 'sse',
    node: 0,
    sentAt: 0,
    openedAt: 0,
    heardAt: 0,
    endedAt: Number.NaN,
    isSlow: false,
    end: 'open',
    ...given,
  }
}

/** The founding of the room, as its members are told. */
export const FOUNDED: Partial<SeenEvent> = { type: 'conversation.created' }

/** A message of anna's, as its members are told. */
export function message(seq: number, text: number, at = 0): Partial<SeenEvent> {
  return { type: 'message.created', seq, text, user: 'anna', at }
}

/** Somebody joining or leaving, as the members are told. */
export function change(kind: 'added' | 'removed', user: string): Partial<SeenEvent> {
  return { type: `member.${kind}`, user }
}

/** A device that saw these events, numbered from 1 unless they say otherwise. */
export function aDevice(
  user: string,
  events: readonly Partial<SeenEvent>[],
  connection = aConnection(),
): DeviceLog {
  const log = new DeviceLog(user, `${user}'s`, names)
  log.connections.push(connection)
  for (const [index, event] of events.entries()) {
    const bare = { id: index + 1, type: '', conversation: 'room', seq: -1, text: -1, user: '', at: 0 }
    log.add({ ...bare, ...event })
  }
  return log
}

/** An answered change of membership. */
export function aChange(kind: 'add' | 'remove', user: string, endedAt: number): MembershipRecord {
  return { conversation: 'room', user, kind, startedAt: endedAt - 10, endedAt, outcome: 'ok' }
}
