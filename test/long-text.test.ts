import { beforeAll, describe, expect, test } from 'vitest'
import type { Conversation, Message } from '../src/protocol/types.ts'
import { Person } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()
let alice: Person
let bob: Person
let chat: string

beforeAll(async () => {
  alice = await Person.signUp(gateway.url)
  bob = await Person.signUp(gateway.url)
  chat = await alice.direct(bob)
})

const inlineBytes = 8 * 1024
const answerBytes = 48 * 1024

function expectCut({ text, truncated }: Pick<Message, 'text' | 'truncated'>, whole: string): void {
  expect(truncated).toBe(true)
  expect(whole.startsWith(text)).toBe(true)
  expect(text.isWellFormed()).toBe(true)
  const bytes = Buffer.byteLength(text)
  expect(bytes).toBeLessThanOrEqual(inlineBytes)
  // Not a code point less than fits.
  expect(bytes).toBeGreaterThan(inlineBytes - 4)
}

/** Everywhere that a message is shown but in its own resource. */
async function everywhere(sent: Message, after: string): Promise<Message[]> {
  const path = `/v1/conversations/${chat}`
  const shown = [sent]
  for (const person of [alice, bob]) {
    const { body: one } = await person.call<Conversation>('GET', path)
    const { body: list } = await person.call<{ conversations: Conversation[] }>('GET', '/v1/conversations')
    shown.push(one.last_message as Message, list.conversations[0]?.last_message as Message)
    for (const query of ['limit=1', `after_seq=${sent.seq - 1}`, `around_seq=${sent.seq}&limit=1`]) {
      const { body } = await person.call<{ messages: Message[] }>('GET', `${path}/messages?${query}`)
      shown.push(body.messages.at(-1) as Message)
    }
  }
  const { events } = await bob.readAll(after)
  shown.push(events.at(-1)?.message as Message)
  using stream = await bob.stream(`after=${after}`)
  await stream.waitForTexts(1)
  shown.push(stream.events.at(-1)?.message as Message)
  return shown
}

describe('a text', () => {
  test('of 100,000 characters is taken, of one more it is 422', async () => {
    for (const character of ['x', 'ü', '🙂', '\u0001']) {
      const whole = character.repeat(100_000)
      expect((await alice.send(chat, whole)).status).toBe(201)
      const { last_seq } = (await alice.call('GET', `/v1/conversations/${chat}`)).body
      expectProblem(await alice.send(chat, `${whole}x`), 422, 'text_too_long')
      const batch = [{ conversation_id: chat, text: `${whole}x`, client_id: 'over' }]
      const { body } = await alice.call('POST', '/v1/messages', { messages: batch })
      expect(body).toEqual({ results: [{ status: 422, code: 'text_too_long' }] })
      expect((await alice.call('GET', `/v1/conversations/${chat}`)).body.last_seq).toBe(last_seq)
    }
  })

  test('of 100,000 emoji, escaped as pairs, comes back whole from its own resource', async () => {
    const after = (await bob.readAll()).cursor
    using live = await bob.stream(`after=${after}`)
    await live.waitForFrame('heartbeat')
    const whole = '🙂'.repeat(100_000)
    const body = `{"text":"${'\\ud83d\\ude42'.repeat(100_000)}"}`
    const sent = await alice.call<Message>('POST', `/v1/conversations/${chat}/messages`, body)
    expect(sent.status).toBe(201)
    const own = await bob.call<Message>('GET', `/v1/conversations/${chat}/messages/${sent.body.seq}`)
    expect(own.body.text === whole).toBe(true)
    expect(own.body.truncated).toBe(false)
    for (const shown of await everywhere(sent.body, after)) {
      expectCut(shown, whole)
      expect({ ...shown, text: '', truncated: false }).toEqual({ ...own.body, text: '' })
    }
    await live.waitForTexts(1)
    expectCut(live.events[0]?.message as Message, whole)
  })

  test.each([
    ['one byte over 8 KB', `${'x'.repeat(inlineBytes)}y`],
    ['a character across the cut', `${'x'.repeat(inlineBytes - 1)}ü${'y'.repeat(10)}`],
    ['an emoji across the cut', `${'x'.repeat(inlineBytes - 3)}🙂🙂`],
    ['three bytes each', '€'.repeat(5_000)],
  ])('with %s is cut at a code point', async (_, whole) => {
    const after = (await bob.readAll()).cursor
    const { body } = await alice.send(chat, whole)
    for (const shown of await everywhere(body, after)) expectCut(shown, whole)
    const own = await alice.call<Message>('GET', `/v1/conversations/${chat}/messages/${body.seq}`)
    expect(own.body).toMatchObject({ text: whole, truncated: false })
  })

  test('of exactly 8 KB is whole everywhere', async () => {
    const after = (await bob.readAll()).cursor
    const whole = 'ü'.repeat(inlineBytes / 2)
    const { body } = await alice.send(chat, whole)
    for (const shown of await everywhere(body, after)) {
      expect(shown.text).toBe(whole)
      expect(shown.truncated).toBe(false)
    }
  })

  test('is given in parts, counted in code points', async () => {
    const { body } = await alice.send(chat, `🙂a${'ü'.repeat(20_000)}🙃`)
    const part = async (query: string) => {
      const path = `/v1/conversations/${chat}/messages/${body.seq}?${query}`
      const { text, truncated } = (await bob.call<Message>('GET', path)).body
      return { text, truncated }
    }
    expect(await part('text_from=0&text_limit=3')).toEqual({ text: '🙂aü', truncated: true })
    expect(await part('text_from=1&text_limit=2')).toEqual({ text: 'aü', truncated: true })
    expect(await part('text_from=20002')).toEqual({ text: '🙃', truncated: true })
    expect(await part('text_from=20003&text_limit=1')).toEqual({ text: '', truncated: true })
    expect((await part('text_limit=20003')).truncated).toBe(false)
    const wrong = await bob.call('GET', `/v1/conversations/${chat}/messages/${body.seq}?text_from=-1`)
    expectProblem(wrong, 422, 'validation_failed')
  })
})

describe('100 long messages', () => {
  const bodyOf = (n: number) => ({
    conversation_id: chat,
    text: `${n} ${'ü'.repeat(6_000)}`,
    client_id: `long-${n}`,
  })

  test('fit no answer, but lose nothing: batch, history, polls and slices end at 48 KB', async () => {
    const after = (await bob.readAll()).cursor
    const messages = Array.from({ length: 100 }, (_, n) => bodyOf(n))
    const batch = await alice.call<{ results: { status: number; message?: Message }[] }>(
      'POST',
      '/v1/messages',
      {
        messages,
      },
    )
    expect(Buffer.byteLength(batch.text)).toBeLessThanOrEqual(answerBytes)
    expect(batch.body.results.map(({ status }) => status)).toEqual(Array(100).fill(201))
    expect(batch.body.results[0]?.message?.text).toMatch(/^0 ü+$/)

    const { body } = await alice.call<Conversation>('GET', `/v1/conversations/${chat}`)
    const first = body.last_seq - 99
    const all = Array.from({ length: 100 }, (_, n) => first + n)
    expect(await readBackwards(body.last_seq + 1, first)).toEqual(all)
    expect(await readForwards(first - 1)).toEqual(all)

    const around = await alice.call<{ messages: Message[]; has_more: boolean }>(
      'GET',
      `/v1/conversations/${chat}/messages?around_seq=${first + 50}&limit=100`,
    )
    expect(Buffer.byteLength(around.text)).toBeLessThanOrEqual(answerBytes)
    const seqs = around.body.messages.map(({ seq }) => seq)
    expect(seqs).toContain(first + 50)
    expect(seqs).toEqual(seqs.map((_, n) => (seqs[0] ?? 0) + n))
    expect(around.body.has_more).toBe(true)

    expect((await bob.readAll(after)).events.map((event) => event.message?.seq)).toEqual(all)
    using slice = await bob.stream(`after=${after}&limit=500`)
    await slice.waitForEnd()
    expect(Buffer.byteLength(slice.chunks.join(''))).toBeLessThanOrEqual(answerBytes + 1024)
    expect(slice.events.length).toBeGreaterThan(3)
    expect(slice.events.map(({ message }) => message?.seq)).toEqual(all.slice(0, slice.events.length))
  })

  test('reach a stream whose reader was slow', async () => {
    const after = (await bob.readAll()).cursor
    using slow = await bob.stream(`after=${after}`)
    slow.response.pause()
    const texts = Array.from({ length: 60 }, (_, n) => `slow ${n} ${'z'.repeat(8_000)}`)
    await Promise.all(texts.map((text) => alice.send(chat, text)))
    const { events } = await bob.readAll(after)
    slow.response.resume()
    const got = await until('all of them', () => slow.events.length >= 60 && slow.texts())
    expect(got).toEqual(events.map((event) => event.message?.text))
  })
})

type Page = { messages: Message[]; has_more: boolean }

async function readBackwards(before: number, until: number): Promise<number[]> {
  const seqs: number[] = []
  for (let from = before; from > until; from = seqs[0] ?? until) {
    const path = `/v1/conversations/${chat}/messages?before_seq=${from}&limit=200`
    const { text, body } = await bob.call<Page>('GET', path)
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(answerBytes)
    seqs.unshift(...body.messages.map(({ seq }) => seq))
  }
  return seqs.filter((seq) => seq >= until)
}

async function readForwards(after: number): Promise<number[]> {
  const seqs: number[] = []
  for (let more = true, from = after; more; from = seqs.at(-1) ?? from) {
    const path = `/v1/conversations/${chat}/messages?after_seq=${from}&limit=200`
    const { text, body } = await bob.call<Page>('GET', path)
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(answerBytes)
    seqs.push(...body.messages.map(({ seq }) => seq))
    more = body.has_more
  }
  return seqs
}
