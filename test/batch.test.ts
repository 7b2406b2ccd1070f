import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Conversation, Message } from '../src/protocol/types.ts'
import { newId } from '../src/store/ids.ts'
import { Person } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { useGateway } from './support/suite.ts'

type Recipient = { user_id: string; status: number; conversation_id?: string; seq?: number; code?: string }
type Result = { status: number; message?: Message; recipients?: Recipient[]; code?: string }

const { gateway } = useGateway()
let alice: Person
let bob: Person
let carol: Person
let chat: string
let foreign: string

beforeAll(async () => {
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
  carol = await Person.signUp(gateway.url)
  chat = await alice.direct(bob)
  foreign = await bob.direct(carol)
})

const post = (messages: unknown, sender = alice) =>
  sender.call<{ results: Result[] }>('POST', '/v1/messages', { messages })
async function send(messages: unknown[], sender = alice): Promise<Result[]> {
  const answer = await post(messages, sender)
  expect(answer.status, answer.text).toBe(200)
  expect(answer.body.results).toHaveLength(messages.length)
  return answer.body.results
}
const toChat = (text: string, client_id: string = randomUUID()) => ({
  conversation_id: chat,
  text,
  client_id,
})
const toPeople = (to: string[], text: string, client_id: string = randomUUID()) => ({ to, text, client_id })
const lastSeq = async (id = chat, person = alice) =>
  (await person.call<Conversation>('GET', `/v1/conversations/${id}`)).body.last_seq
const textsOf = async (person: Person, after: string) =>
  (await person.readAll(after)).events.flatMap((event) => (event.message ? [event.message.text] : []))

describe('a batch', () => {
  test('answers in order, and sends in order', async () => {
    const before = await lastSeq()
    const { cursor } = await bob.readAll()
    const texts = Array.from({ length: 100 }, (_, n) => `in order ${n}`)
    const results = await send(texts.map((text) => toChat(text)))
    expect(results.map(({ status, message }) => [status, message?.text, message?.seq])).toEqual(
      texts.map((text, n) => [201, text, before + 1 + n]),
    )
    expect(await textsOf(bob, cursor)).toEqual(texts)
  })

  test('to people sends in order too, also mixed with their conversation', async () => {
    const { cursor } = await bob.readAll()
    const texts = Array.from({ length: 60 }, (_, n) => `mixed ${n}`)
    await send(texts.map((text, n) => (n % 3 === 2 ? toChat(text) : toPeople([bob.id], text))))
    expect(await textsOf(bob, cursor)).toEqual(texts)
  })

  test.each<[messages: unknown]>([
    [[]],
    [{}],
    [undefined],
    [Array.from({ length: 101 }, (_, n) => ({ conversation_id: newId(), text: 'a', client_id: `${n}` }))],
  ])('# %# is refused whole', async (messages) => {
    expectProblem(await post(messages), 422, 'validation_failed')
  })

  test('of 101 messages sends none', async () => {
    const before = await lastSeq()
    expect((await post(Array.from({ length: 101 }, () => toChat('too many')))).status).toBe(422)
    expect(await lastSeq()).toBe(before)
  })

  test('to more than 1,000 recipients sends none', async () => {
    const before = await lastSeq()
    const many = Array.from({ length: 999 }, (_, n) => `nobody-${n}`)
    const messages = [toPeople(many, 'a'), toChat('b'), toPeople([bob.id], 'c')]
    expectProblem(await post(messages), 422, 'batch_too_large')
    expectProblem(await post([toPeople([...many, 'x', 'y'], 'a')]), 422, 'batch_too_large')
    expect(await lastSeq()).toBe(before)
  })

  test('judges each item alone', async () => {
    const good = () => toChat('good')
    const bad: [item: unknown, status: number, code: string][] = [
      [{ ...good(), text: '' }, 422, 'validation_failed'],
      [{ ...good(), text: 'a\u0000' }, 422, 'validation_failed'],
      [{ ...good(), text: '\ud800' }, 422, 'validation_failed'],
      [{ ...good(), text: 7 }, 422, 'validation_failed'],
      [{ ...good(), client_id: undefined }, 422, 'validation_failed'],
      [{ ...good(), client_id: 'a b' }, 422, 'validation_failed'],
      [{ ...good(), client_id: 'x'.repeat(65) }, 422, 'validation_failed'],
      [{ ...good(), data: 'x' }, 422, 'validation_failed'],
      [{ ...good(), reply_to: 1_000_000 }, 422, 'reply_not_found'],
      [{ ...good(), conversation_id: newId() }, 404, 'not_found'],
      [{ ...good(), conversation_id: foreign }, 404, 'not_found'],
      [toPeople([], 'a'), 422, 'validation_failed'],
      [{ to: bob.id, text: 'a', client_id: 'a' }, 422, 'validation_failed'],
      [{ text: 'a', client_id: 'a' }, 422, 'validation_failed'],
      [null, 422, 'validation_failed'],
      ['a', 422, 'validation_failed'],
    ]
    const before = await lastSeq()
    const results = await send(bad.flatMap(([item]) => [item, good()]))
    expect(results.filter((_, n) => n % 2 === 0)).toEqual(bad.map(([, status, code]) => ({ status, code })))
    expect(results.filter((_, n) => n % 2 === 1).map(({ message }) => message?.seq)).toEqual(
      bad.map((_, n) => before + 1 + n),
    )
    expect(await lastSeq(foreign, bob)).toBe(0)
  })

  test('P2 again → 200 and no second message', async () => {
    const messages = [
      toChat('repeated'),
      toPeople([bob.id], 'repeated to one'),
      toPeople([bob.id, carol.id], 'repeated to two'),
    ]
    const cursors = [(await bob.readAll()).cursor, (await carol.readAll()).cursor] as const
    const first = await send(messages)
    const [again, once] = await Promise.all([send(messages), send(messages)])
    expect(first.map(({ status }) => status)).toEqual([201, 201, 201])
    const asReplay = first.map((result) => ({
      ...result,
      status: 200,
      ...(result.recipients && { recipients: result.recipients.map((each) => ({ ...each, status: 200 })) }),
    }))
    expect([again, once]).toEqual([asReplay, asReplay])
    expect(await textsOf(bob, cursors[0])).toHaveLength(3)
    expect(await textsOf(carol, cursors[1])).toEqual(['repeated to two'])
  })

  test('P2 one client_id twice in it', async () => {
    const before = await lastSeq()
    const results = await send([toChat('a', 'twice'), toChat('a', 'twice'), toChat('b', 'twice')])
    expect(results.map(({ status, code }) => code ?? status)).toEqual([201, 200, 'idempotency_mismatch'])
    expect(await lastSeq()).toBe(before + 1)
  })
})

describe('`to`', () => {
  test('one is unicast: the message, in the direct conversation with them', async () => {
    const [result] = await send([toPeople([bob.id], 'to bob')])
    expect(result).toMatchObject({
      status: 201,
      message: { conversation_id: chat, text: 'to bob', sender_id: alice.id },
      recipients: [{ user_id: bob.id, status: 201, conversation_id: chat, seq: result?.message?.seq }],
    })
  })

  test('many is multicast, each in a conversation of their own, those that do not exist fail alone', async () => {
    const sender = await Person.signUp(gateway.url)
    const known = await sender.direct(bob)
    const after = (await carol.readAll()).cursor
    const to = [carol.id, 'nobody', bob.id, sender.id, 'a\u0001b', carol.id]
    const [result] = await send([toPeople(to, 'to many')], sender)
    expect(result?.status).toBe(201)
    expect(result?.recipients).toEqual([
      { user_id: carol.id, status: 201, conversation_id: expect.any(String), seq: 1 },
      { user_id: 'nobody', status: 404, code: 'not_found' },
      { user_id: bob.id, status: 201, conversation_id: known, seq: 1 },
      { user_id: sender.id, status: expect.any(Number), code: expect.any(String) },
      { user_id: 'a\u0001b', status: 404, code: 'not_found' },
    ])
    const types = (await carol.readAll(after)).events.map(({ type }) => type)
    expect(types).toEqual(['conversation.created', 'message.created'])
    expect(await carol.direct(sender)).toBe(result?.recipients?.[0]?.conversation_id)
    expect((await sender.call('GET', '/v1/conversations')).body.conversations).toHaveLength(2)
  })

  test.each([
    ['self', () => alice.id],
    ['nobody', () => 'nobody'],
  ])('%s alone fails, and makes no conversation', async (_, id) => {
    const count = async () => (await alice.readAll()).events.length
    const before = await count()
    const [result] = await send([toPeople([id()], 'a')])
    expect(result?.status).toBeGreaterThanOrEqual(400)
    expect(result?.code).toEqual(expect.any(String))
    expect(await count()).toBe(before)
  })

  test('P2 the same client_id with other recipients or words → 422, nothing sent', async () => {
    const cursors = [(await bob.readAll()).cursor, (await carol.readAll()).cursor] as const
    await send([toPeople([bob.id], 'a', 'multicast')])
    const others = [
      toPeople([carol.id], 'a', 'multicast'),
      toPeople([bob.id, carol.id], 'a', 'multicast'),
      toPeople([bob.id], 'b', 'multicast'),
      toChat('a', 'multicast'),
    ]
    for (const other of others) {
      expect(await send([other])).toEqual([{ status: 422, code: 'idempotency_mismatch' }])
    }
    expect(await textsOf(bob, cursors[0])).toEqual(['a'])
    expect(await textsOf(carol, cursors[1])).toEqual([])
    await send([toChat('c', 'conversation-key')])
    const reused = await send([toPeople([carol.id], 'c', 'conversation-key')])
    expect(reused).toEqual([{ status: 422, code: 'idempotency_mismatch' }])
  })

  test('1,000 recipients: every status is told, within 48 KB', async () => {
    const sender = await Person.signUp(gateway.url)
    const nobody = (n: number) => Array.from({ length: 500 }, (_, i) => `nobody-${n}-${i}`.padEnd(40, '-'))
    const messages = [toPeople(nobody(0), 'a'), toPeople([...nobody(1).slice(1), bob.id], 'b')]
    const answer = await post(messages, sender)
    expect(answer.body.results.map(({ status }) => status)).toEqual([404, 201])
    expect(answer.body.results[0]?.recipients).toHaveLength(500)
    expect(Buffer.byteLength(answer.text)).toBeLessThanOrEqual(48 * 1024)
  })
})
