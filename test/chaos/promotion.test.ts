import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { type Answer, call, Person, type Poll } from '../support/person.ts'
import type { Stream } from '../support/stream.ts'
import { until } from '../support/wait.ts'
import type { Replication } from './world/postgres-pair.ts'
import { World } from './world/world.ts'

const TIMEOUT = { timeout: 90_000 }

/** Two people who talk; one of them listens on every node, and polls. */
async function setUp(replication: Replication) {
  const world = await World.start({ nodes: 3, nats: true, replication })
  const [base = ''] = world.nodes.map((node) => node.url)
  const alice = await Person.signUp(base)
  const bob = await Person.signUp(base)
  const chat = await alice.direct(bob)
  const { cursor: start } = await bob.readAll()
  const streams = await Promise.all(world.nodes.map((node) => bob.at(node.url).stream(`after=${start}`)))
  const send = (text: string) => sendUntilAnswered(alice, chat, text)
  const everywhere = (texts: string[]) =>
    Promise.all(
      streams.map((stream) => until(`${texts.at(-1)}`, () => stream.texts().includes(texts.at(-1) ?? ''))),
    )
  return { world, alice, bob, chat, streams, send, everywhere, start }
}

/** Repeats with one key, as a client would. */
function sendUntilAnswered(alice: Person, chat: string, text: string): Promise<Answer> {
  const key = randomUUID()
  return until(`an answer to ${text}`, async () => {
    const answer = await alice.send(chat, text, key).catch(() => undefined)
    return answer !== undefined && answer.status < 300 && (answer as unknown as Answer)
  })
}

/** What a stream gave before and after it was first reset, if it was: cursors and texts; and the last reset. */
function halves(stream: Stream) {
  const at = stream.frames.findIndex((frame) => frame.event === 'reset')
  const last = stream.frames.findLast((frame) => frame.event === 'reset')
  const texts = (frames: typeof stream.frames) =>
    frames.flatMap(({ event, data, id }) => {
      if (event !== undefined || !id) return []
      const { message } = JSON.parse(data)
      return message ? [{ text: message.text as string, cursor: id }] : []
    })
  if (at < 0) return { before: texts(stream.frames), after: [], reset: undefined }
  return { before: texts(stream.frames.slice(0, at)), after: texts(stream.frames.slice(at)), reset: last }
}

const epochOf = (cursor: string) => cursor.split('-')[0]

test(
  'promotion without a synchronous standby: whoever has a cursor is reset, nobody gets a wrong event',
  TIMEOUT,
  async () => {
    const { world, bob, streams, send, everywhere } = await setUp('asynchronous')
    await using _world = world
    const kept = ['kept 1', 'kept 2', 'kept 3']
    for (const text of kept) await send(text)
    await everywhere(kept)
    const { cursor: before } = await bob.readAll()
    await world.postgres.stopFollowing()
    const lost = ['lost 1', 'lost 2', 'lost 3']
    for (const text of lost) await send(text)
    await everywhere(lost)
    const { cursor: future } = await bob.readAll()
    const parked = world.nodes.map((node) => bob.at(node.url).poll(`wait=50&after=${future}`))

    await world.postgres.failOver()
    world.followPrimary()
    const fresh = ['fresh 1', 'fresh 2', 'fresh 3', 'fresh 4']
    for (const text of fresh) await send(text)
    await Promise.all(streams.map((stream) => until('a reset', () => stream.named('reset').length > 0)))
    fresh.push('fresh, after all were reset')
    await send(fresh.at(-1) ?? '')
    await everywhere(fresh)

    for (const stream of streams) {
      const { before: old, after: now, reset } = halves(stream)
      expect(old.map(({ text }) => text)).toEqual([...kept, ...lost])
      expect(JSON.parse(reset?.data ?? '')).toEqual({ cursor: reset?.id, reason: 'unknown' })
      // Where it goes on is where the new life was when the node noticed: only what is fresh, in order, to the last.
      const seen = now.map(({ text }) => text)
      expect(fresh.filter((text) => seen.includes(text))).toEqual(seen)
      expect(epochOf(now.at(-1)?.cursor ?? '')).toBe(epochOf(reset?.id ?? ''))
      expect(now.map(({ cursor }) => epochOf(cursor))).not.toContain(epochOf(before))
    }
    for (const answer of await Promise.all(parked))
      expect(answer.body).toMatchObject({ reset: 'unknown', events: [] })
    for (const node of world.nodes) {
      const there = bob.at(node.url)
      for (const cursor of [before, future]) {
        const { body } = await there.poll(`wait=0&after=${cursor}`)
        expect(body).toMatchObject({ reset: 'unknown', events: [] })
        using stream = await there.stream('', { 'last-event-id': cursor })
        expect((await stream.waitForFrame('reset')).id).toBe(body.cursor)
      }
      await expectReloadable(there, [...kept, ...fresh])
    }
  },
)

/** The client reloads its conversations, and goes on from the cursor given there. */
async function expectReloadable(bob: Person, texts: string[]): Promise<void> {
  const { body } = await bob.call<{ cursor: string }>('GET', '/v1/conversations')
  const next = await bob.poll(`wait=0&after=${body.cursor}`)
  expect(next.body).toMatchObject({ cursor: body.cursor, events: [] } satisfies Partial<Poll>)
  const all = await bob.readAll()
  expect(all.events.flatMap(({ message }) => message?.text ?? [])).toEqual(texts)
}

test('promotion of a synchronous standby: no reset, nothing lost, nothing twice', TIMEOUT, async () => {
  const { world, alice, bob, chat, streams, send, everywhere, start } = await setUp('synchronous')
  await using _world = world
  const texts: string[] = []
  const say = async (count: number) => {
    for (let n = 0; n < count; n += 1) {
      texts.push(`message ${texts.length}`)
      await send(texts.at(-1) ?? '')
    }
  }
  await say(5)
  for (let promotion = 0; promotion < 2; promotion += 1) {
    const parked = bob.poll(`wait=50&after=${(await bob.readAll()).cursor}`)
    await world.postgres.failOver()
    world.followPrimary()
    await say(5)
    expect((await parked).body.reset).toBeUndefined()
    await world.postgres.addStandby('synchronous')
    await say(5)
  }
  await everywhere(texts)
  for (const stream of streams) {
    expect(stream.named('reset')).toEqual([])
    expect(stream.texts()).toEqual(texts)
  }
  const { body } = await bob.poll(`wait=0&limit=500&after=${start}`)
  expect(body.reset).toBeUndefined()
  expect(body.events.map(({ message }) => message?.text)).toEqual(texts)
  const history = await alice.call<{ messages: unknown[] }>(
    'GET',
    `/v1/conversations/${chat}/messages?limit=200`,
  )
  expect(history.body.messages).toHaveLength(texts.length)
  expect((await call(world.nodes[0]?.url ?? '', 'GET', '/readyz')).status).toBe(200)
})
