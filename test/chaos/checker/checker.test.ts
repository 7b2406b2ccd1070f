import { describe, expect, test } from 'vitest'
import type { SeenEvent } from '../history/device-log.ts'
import type {
  ConversationRecord,
  FaultRecord,
  MarkRecord,
  MembershipRecord,
  SendRecord,
} from '../history/history.ts'
import { checkSignOuts } from './check.ts'
import { checkConversations } from './conversations.ts'
import { FaultWindows } from './fault-windows.ts'
import { checkInboxes } from './inboxes.ts'
import { measureLag } from './lag.ts'
import {
  aChange,
  aConnection,
  aConversation,
  aDevice,
  aSend,
  change,
  FOUNDED,
  message,
} from './made-history.ts'
import { checkMarks } from './marks.ts'
import { measureRecovery } from './recovery.ts'
import { checkRecovery } from './recovery-bounds.ts'
import { checkSends } from './sends.ts'
import type { Violation } from './violation.ts'

const told = (violations: Violation[]) => violations.map(({ promise, what }) => `${promise} ${what}`)
const fault = (given: Partial<FaultRecord>): FaultRecord => {
  return { kind: 'node killed', target: 'node 0', beganAt: 0, healedAt: 0, kills: 1, ...given }
}

describe('P1 and P2 sends', () => {
  const judge = (sends: SendRecord[], conversation: ConversationRecord) =>
    told(checkSends({ sends, conversations: [conversation] }))
  const answer = (text: number, seq: number, replayed = false) => {
    return { id: `m${text}`, seq, conversation: 'room', text, replayed }
  }

  test('answered ones are there, unknown ones may be, refused ones are not', () => {
    const sends = [
      aSend({ text: 1, answers: [answer(1, 1), answer(1, 1, true)] }),
      aSend({ text: 2, outcome: 'unknown' }),
      aSend({ text: 3, outcome: 'unknown' }),
      aSend({ text: 4, outcome: 'refused' }),
    ]
    expect(judge(sends, aConversation([1, 3]))).toEqual([])
  })

  test('what is lost, doubled, refused and yet there, of nobody, or of somebody else', () => {
    expect(judge([aSend({ text: 1 })], aConversation([]))).toEqual(['P1 an answered message is lost'])
    expect(judge([aSend({ text: 1 })], aConversation([1, 1]))).toEqual(['P2 a message is there twice'])
    const refused = aSend({ text: 1, outcome: 'refused' })
    expect(judge([refused], aConversation([1]))).toEqual(['P1 a refused message is there'])
    expect(judge([], aConversation([1]))).toEqual(['P1 a message that nobody sent'])
    const foreign = aSend({ text: 1, sender: 'ben' })
    expect(judge([foreign], aConversation([1]))).toEqual(['P1 a message of another sender'])
  })

  test('a key that made two messages, or was answered for another one, or as new twice', () => {
    const two = [aSend({ text: 1, key: 'k' }), aSend({ text: 2, key: 'k', outcome: 'unknown' })]
    expect(judge(two, aConversation([1, 2]))).toEqual(['P2 a key made two messages'])
    const elsewhere = aSend({ text: 1, answers: [{ ...answer(1, 7) }] })
    expect(judge([elsewhere], aConversation([1]))).toEqual(['P2 an answer names another message'])
    const twice = aSend({ text: 1, answers: [answer(1, 1), answer(1, 1)] })
    expect(judge([twice], aConversation([1]))).toEqual(['P2 a key was answered as new twice'])
  })
})

describe('P3 inboxes', () => {
  const judge = (...inboxes: Partial<SeenEvent>[][]) =>
    told(checkInboxes({ devices: inboxes.map((events) => aDevice('anna', events)) }))

  test('each id once, in order, the same on both devices; what is hidden by now may differ', () => {
    expect(judge([FOUNDED, message(1, 1)], [FOUNDED, { type: 'redacted' }])).toEqual([])
    expect(judge([], [])).toEqual([])
  })

  test('missing, again, other, fewer', () => {
    expect(judge([{ id: 1 }, { id: 3 }])).toEqual(['P3 an event is missing'])
    expect(judge([{ id: 2 }])).toEqual(['P3 an event is missing'])
    expect(judge([{ id: 1 }, { id: 1 }])).toEqual(['P3 an event came again'])
    expect(judge([message(1, 1)], [message(1, 2)])).toEqual(['P3 devices saw different events at one id'])
    expect(judge([message(1, 1)], [])).toEqual(['P3 devices end at different events'])
  })

  test('a reset', () => {
    const device = aDevice('anna', [])
    device.resets.push({ at: 0, reason: 'unknown', cursor: 'e-1' })
    expect(told(checkInboxes({ devices: [device] }))).toEqual(['P3 a reset without cause'])
  })
})

describe('P1, P4 and P6 conversations', () => {
  type Made = {
    anna: Partial<SeenEvent>[]
    ben: Partial<SeenEvent>[]
    texts: number[]
    members?: string[]
    memberships?: MembershipRecord[]
    sends?: SendRecord[]
  }
  const judge = ({ anna, ben, texts, members, memberships = [], sends = [] }: Made) =>
    told(
      checkConversations({
        devices: [aDevice('anna', anna), aDevice('ben', ben)],
        conversations: [aConversation(texts, members)],
        memberships,
        sends,
      }),
    )
  const one = message(1, 1)
  const [out, back] = [change('removed', 'ben'), change('added', 'ben')]
  const order = [FOUNDED, one, out, message(2, 2), back, message(3, 3)]
  const hidden = { type: 'redacted' }

  test('a member sees the part in which they were one, hidden perhaps', () => {
    const right = { anna: order, texts: [1, 2, 3] }
    expect(judge({ ...right, ben: [FOUNDED, one, out, FOUNDED, message(3, 3)] })).toEqual([])
    expect(judge({ ...right, ben: [FOUNDED, hidden, hidden, FOUNDED, message(3, 3)] })).toEqual([])
    // One more than he could have been told: a read mark of his own.
    expect(judge({ ...right, ben: [FOUNDED, hidden, hidden, hidden, FOUNDED, message(3, 3)] })).toEqual([])
    expect(judge({ ...right, ben: [FOUNDED, hidden, FOUNDED, message(3, 3)] })).toEqual([
      'P1 somebody was not told',
    ])
  })

  test('not told, told too much, told in another order', () => {
    const right = { anna: order, texts: [1, 2, 3] }
    expect(judge({ ...right, ben: [FOUNDED, one, out, FOUNDED] })).toEqual(['P1 somebody was not told'])
    const tooMuch = [FOUNDED, one, out, message(2, 2), FOUNDED, message(3, 3)]
    expect(judge({ ...right, ben: tooMuch })).toEqual(['P6 somebody was told what is not theirs'])
    const swapped = [FOUNDED, message(2, 2), one]
    expect(judge({ anna: [FOUNDED, one, message(2, 2)], ben: swapped, texts: [1, 2] })).toEqual([
      'P4 somebody was told in another order',
    ])
  })

  test('history that is not what was told', () => {
    const both = { anna: [FOUNDED, one], ben: [FOUNDED, one] }
    expect(judge({ ...both, texts: [2] })).toEqual(['P4 history and inbox differ'])
    expect(judge({ ...both, texts: [1, 2] })).toEqual(['P1 history and inbox differ'])
  })

  test('a sender who is no member', () => {
    const stranger = { ...message(2, 2), user: 'ben' }
    const anna = [FOUNDED, one, out, stranger]
    expect(judge({ anna, ben: [FOUNDED, one, out], texts: [1, 2] })).toEqual(['P6 a stranger sent'])
  })

  test('a message before a removal that was answered before it began; a removal that is lost', () => {
    const both = { anna: [FOUNDED, one, out], ben: [FOUNDED, one, out], texts: [1] }
    const sends = [aSend({ text: 1, startedAt: 1_000 })]
    expect(judge({ ...both, sends, memberships: [aChange('remove', 'ben', 1_010)] })).toEqual([])
    expect(judge({ ...both, sends, memberships: [aChange('remove', 'ben', 990)] })).toEqual([
      'P6 a message slipped in before a change that was answered before it',
    ])
    const memberships = [aChange('remove', 'ben', 1_010), aChange('add', 'ben', 1_020)]
    expect(judge({ ...both, sends, memberships })).toEqual(['P1 an answered change of membership is lost'])
  })
})

describe('P5 marks', () => {
  const mark = (kind: MarkRecord['kind'], value: number, startedAt: number): MarkRecord => {
    return { kind, of: 'ben', value, startedAt, endedAt: startedAt + 10 }
  }
  const judge = (marks: MarkRecord[], faults: FaultRecord[] = [], events: Partial<SeenEvent>[] = []) =>
    told(checkMarks({ devices: [aDevice('ben', events)], readMarks: [], storedCursors: marks, faults }))

  test('what is seen is no less than what was certain', () => {
    expect(judge([mark('acknowledged', 5, 0), mark('seen', 5, 20)])).toEqual([])
    expect(judge([mark('acknowledged', 5, 0), mark('seen', 4, 5)])).toEqual([])
    expect(judge([mark('acknowledged', 5, 0), mark('seen', 4, 20)])).toEqual([
      'P5 a stored cursor moved back',
    ])
    expect(judge([mark('seen', 5, 0), mark('seen', 4, 20)])).toEqual(['P5 a stored cursor moved back'])
  })

  test('an acknowledgement just before Postgres died may be lost, no other', () => {
    const died = fault({ kind: 'Postgres restarted', beganAt: 500, healedAt: 900 })
    const marks = [mark('acknowledged', 5, 0), mark('seen', 4, 1_000)]
    expect(judge(marks, [died])).toEqual([])
    expect(judge(marks, [{ ...died, beganAt: 2_000, healedAt: 2_100 }])).toHaveLength(1)
  })

  test('read marks are told forwards', () => {
    const read = (seq: number) => ({ type: 'conversation.read', seq })
    expect(judge([], [], [read(1), read(2)])).toEqual([])
    expect(judge([], [], [read(2), read(1)])).toEqual(['P5 a read mark was told backwards'])
  })
})

describe('P6 sign-out', () => {
  test('within 5 s, plus the time of faults', () => {
    const signOut = (endedAt: number | undefined) => ({ device: 'd', answeredAt: 0, endedAt })
    expect(checkSignOuts({ signOuts: [signOut(4_900)], faults: [] })).toEqual([])
    expect(told(checkSignOuts({ signOuts: [signOut(6_000), signOut(undefined)], faults: [] }))).toHaveLength(
      2,
    )
    const faults = [fault({ beganAt: 0, healedAt: 1_000 })]
    expect(checkSignOuts({ signOuts: [signOut(10_000)], faults })).toEqual([])
  })
})

describe('P7 lag', () => {
  const judge = (lags: number[], connection = aConnection(), faults: FaultRecord[] = []) => {
    const sends = lags.map((_, index) => aSend({ text: index + 1, startedAt: 10_000 }))
    const events = lags.map((lag, index) => message(index + 1, index + 1, 10_000 + lag))
    return measureLag({ devices: [aDevice('ben', events, connection)], sends, faults })
  }

  test('prompt, late, slow', () => {
    expect(judge([10, 20, 30])).toMatchObject({ violations: [], lag: { quiet: { p50: 20, max: 30 } } })
    expect(told(judge([10, 6_000]).violations)).toEqual(['P7 late without a fault'])
    expect(told(judge(Array.from({ length: 600 }, () => 400)).violations)).toEqual([
      'P7 slow without a fault',
    ])
  })

  test('not who was not listening, did not read, or had a fault', () => {
    expect(judge([6_000], aConnection({ openedAt: 15_900 })).lag.all.max).toBe(100)
    expect(judge([6_000], aConnection({ isSlow: true })).lag.all.count).toBe(0)
    expect(judge([6_000], aConnection(), [fault({ beganAt: 9_000, healedAt: 9_500 })])).toMatchObject({
      violations: [],
      lag: { all: { count: 1 }, quiet: { count: 0 } },
    })
  })

  test('windows that touch are one, and count once', () => {
    const windows = new FaultWindows(
      [fault({ beganAt: 0, healedAt: 10 }), fault({ beganAt: 12, healedAt: 20 })],
      5,
    )
    expect([windows.overlap(-10, 100), windows.overlap(24, 26), windows.overlap(30, 40)]).toEqual([25, 1, 0])
  })
})

test('recovery: from the last sign of a node until another one answers, and the first send after healing', () => {
  const device = aDevice('ben', [], aConnection({ heardAt: 900, endedAt: 1_000, end: 'broken' }))
  device.connections.push(
    aConnection({ node: 1, sentAt: 1_100, openedAt: Number.NaN, endedAt: 1_150, end: 'broken' }),
  )
  device.connections.push(aConnection({ node: 2, sentAt: 1_200, openedAt: 1_250 }))
  const faults = [fault({ beganAt: 990, healedAt: 2_000 })]
  const sends = [aSend({ text: 1, endedAt: 1_500 }), aSend({ text: 2, endedAt: 2_040 })]
  const recovery = measureRecovery({ devices: [device], faults, sends }).get('node killed')
  expect(recovery).toMatchObject({ sends: { p50: 40 }, readers: { p50: 250 }, alone: { count: 1 } })
  const again = fault({ kind: 'standby restarted', target: 'postgres', beganAt: 2_010, healedAt: 2_030 })
  const later = measureRecovery({ devices: [], faults: [...faults, again], sends })
  expect([later.get('node killed')?.sends.count, later.get('standby restarted')?.sends.p50]).toEqual([
    undefined,
    10,
  ])
})

test('P7 recovery has bounds', () => {
  const of = (max: number) => ({ count: 9, p50: max, p99: max, max })
  const judge = (kind: string, send: number, alone: number) =>
    told(checkRecovery(new Map([[kind, { sends: of(send), readers: of(99_999), alone: of(alone) }]])))
  expect(judge('Postgres restarted', 4_000, 0)).toEqual([])
  expect(judge('Postgres restarted', 6_000, 0)).toEqual(['P7 the first send came late'])
  expect(judge('node killed', 0, 6_000)).toEqual(['P7 readers were left alone too long'])
  expect(judge('node frozen', 0, 14_000)).toEqual([])
  expect(judge('node frozen', 0, 16_000)).toEqual(['P7 readers were left alone too long'])
})
