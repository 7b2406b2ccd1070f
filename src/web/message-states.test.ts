import { describe, expect, test } from 'vitest'
import type { Message } from '../protocol/types.ts'
import type { InboxEvent } from './inbox-event.ts'
import { MessageStates } from './message-states.ts'

const PLAIN: Message = {
  ...{ id: 'm1', conversation_id: 'c1', seq: 1, kind: 'user', sender_id: 'ann', client_id: null },
  ...{ text: 'one', truncated: false, reply_to: null, mentions: [], reactions: [], data: {} },
  ...{ created_at: '2026-11-21T09:00:00.000Z', edited_at: null, deleted_at: null },
}
const EDITED = { ...PLAIN, text: 'two', edited_at: '2026-11-21T09:01:00.000Z' }
const LIKE = [{ emoji: '👍', count: 1, user_ids: ['ben'] }]

const of = (fields: object) =>
  ({ id: 1, at: PLAIN.created_at, conversation_id: 'c1', ...fields }) as InboxEvent
const created = of({ type: 'message.created', message: PLAIN })
const edited = of({ type: 'message.edited', message: EDITED })
const liked = of({ type: 'reaction.added', message_seq: 1, reactions: LIKE })

/** A request under way: `answer` ends it. */
function ask(states: MessageStates) {
  const { promise, resolve } = Promise.withResolvers<Message[]>()
  const again: number[] = []
  const done = states.ask(
    () => promise,
    (messages) => messages,
    (seq) => again.push(seq),
  )
  return {
    async answer(...messages: Message[]) {
      resolve(messages)
      await done
      return again
    },
  }
}

describe('the states of messages', () => {
  test('follow the events; what an event changes stays apart from the rest', () => {
    const states = new MessageStates()
    for (const event of [created, liked]) states.apply(event)
    expect(states.get(1)).toEqual({ ...PLAIN, reactions: LIKE })
    states.apply(of({ type: 'message.edited', message: { ...EDITED, reactions: LIKE } }))
    states.apply(of({ type: 'reaction.removed', message_seq: 1, reactions: [] }))
    expect(states.get(1)).toEqual(EDITED)
  })

  test('follow an answer, though a reaction leaves no time on the message', async () => {
    const states = new MessageStates()
    states.apply(created)
    expect(await ask(states).answer({ ...PLAIN, reactions: LIKE })).toEqual([])
    expect(states.get(1)?.reactions).toEqual(LIKE)
    await ask(states).answer(PLAIN)
    expect(states.get(1)?.reactions).toEqual([])
  })

  test.each([
    ['a reaction', liked, { reactions: LIKE }],
    ['an edit', edited, { text: 'two' }],
  ])('an answer that %s has overtaken is not believed, and asked for again', async (_, event, expected) => {
    const states = new MessageStates()
    states.apply(created)
    const request = ask(states)
    states.apply(event)
    expect(await request.answer(PLAIN)).toEqual([1])
    expect(states.get(1)).toMatchObject(expected)
  })

  test('of a message that was not known the answer is shown for the time being', async () => {
    const states = new MessageStates()
    const request = ask(states)
    states.apply(liked)
    expect(states.get(1)).toBeUndefined()
    expect(await request.answer(PLAIN)).toEqual([1])
    expect(states.get(1)).toEqual(PLAIN)
    expect(await ask(states).answer({ ...PLAIN, reactions: LIKE })).toEqual([])
    expect(states.get(1)?.reactions).toEqual(LIKE)
  })

  test('the answer to a send tells nothing that its event did not', () => {
    const states = new MessageStates()
    states.apply(created)
    states.apply(edited)
    states.sent(PLAIN)
    expect(states.get(1)).toEqual(EDITED)
  })

  test('a text in full stays so until it is edited', async () => {
    const states = new MessageStates()
    const cut = { ...PLAIN, text: 'o', truncated: true }
    await ask(states).answer(cut)
    await ask(states).answer(PLAIN)
    await ask(states).answer({ ...cut, reactions: LIKE })
    expect(states.get(1)).toEqual({ ...PLAIN, reactions: LIKE })
    states.apply(of({ type: 'message.edited', message: { ...EDITED, text: 't', truncated: true } }))
    expect(states.get(1)).toMatchObject({ text: 't', truncated: true })
    states.apply(
      of({ type: 'message.deleted', message: { ...PLAIN, text: '', deleted_at: EDITED.edited_at } }),
    )
    expect(states.get(1)?.text).toBe('')
  })
})
