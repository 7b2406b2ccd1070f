import { describe, expect, test } from 'vitest'
import type { Opening, Start } from '../protocol/cursor.ts'
import { encodeEvent, type Hint, type LogEvent } from '../protocol/event.ts'
import type { ResetReason } from '../protocol/types.ts'
import { Feed, type Sink } from './feed.ts'
import { Hub } from './hub.ts'
import { LocalBus } from './local-bus.ts'
import type { Log } from './log.ts'

const USER = 'reader'
const body = encodeEvent({ type: 'announcement', at: '2026-11-21T09:00:00.000Z', text: 'x' })

/** A log in memory whose reads happen when they are asked for but answer when the test lets them. */
class MemoryLog implements Log {
  readonly ids: number[] = []
  epoch = 'e1'
  reads = 0
  /** Awaited between reading and answering. */
  beforeAnswer: () => Promise<void> = async () => {}

  append(): LogEvent {
    this.ids.push(this.ids.length + 1)
    return { id: this.ids.length, body }
  }

  async open(_: string, start: Start): Promise<Opening> {
    const head = this.ids.length
    const after = typeof start === 'object' ? start.id : start === 'oldest' ? 0 : head
    await this.beforeAnswer()
    return { epoch: this.epoch, database_epoch: this.epoch, head, after }
  }

  async readAfter(_: string, epoch: string, after: number, limit: number): Promise<LogEvent[]> {
    this.reads += 1
    const page = this.ids.slice(after, after + limit).map((id) => ({ id, body }))
    await this.beforeAnswer()
    if (epoch !== this.epoch) throw new Error('the inbox has another epoch')
    return page
  }

  async heads() {
    return { database_epoch: this.epoch, heads: new Map([[USER, this.ids.length]]) }
  }

  async redrawEpoch(database_epoch: string) {
    if (database_epoch === this.epoch) this.epoch += '+'
  }
}

class Collector implements Sink {
  readonly ids: number[] = []
  readonly resets: ResetReason[] = []
  blocked: Promise<void> | undefined
  readonly isLive = Promise.withResolvers<void>()
  push(event: LogEvent): void {
    this.ids.push(event.id)
  }
  pass(): void {}
  room() {
    return this.blocked
  }
  live(): void {
    this.isLive.resolve()
  }
  reset(reason: ResetReason): void {
    this.resets.push(reason)
  }
  signedOut(): void {}
  failed(error: unknown): void {
    this.isLive.reject(error)
  }
}

function setUp() {
  const bus = new LocalBus()
  const log = new MemoryLog()
  const hub = new Hub(bus, log, () => {})
  /** As a node would, on the subject of the one inbox. */
  const tell = ({ id, database_epoch = log.epoch, ...rest }: Partial<Hint>) => {
    const announced = 'body' in rest ? rest.body : body
    bus.announce({ recipients: [USER], ids: [id ?? 0], database_epoch, body: announced as typeof body })
  }
  const commit = (isTold = true) => {
    const event = log.append()
    if (isTold) tell(event)
    return event
  }
  const open = async (start: Start = 'oldest', pageSize?: number) => {
    const feed = await Feed.open(hub, log, { userId: USER, deviceId: 'd', start })
    const sink = new Collector()
    feed.deliver(sink, pageSize)
    return { feed, sink }
  }
  return { log, hub, tell, commit, open, [Symbol.dispose]: () => hub[Symbol.dispose]() }
}

function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, index) => index + 1)
}

async function reached(sink: Collector, n: number): Promise<number[]> {
  await expect.poll(() => sink.ids.length, { timeout: 5_000 }).toBeGreaterThanOrEqual(n)
  return sink.ids
}

describe('P3 a feed gives each id once, in order, without a gap', () => {
  test('when events are committed between reading the log and going live', async () => {
    using parts = setUp()
    for (let n = 0; n < 5; n += 1) parts.commit()
    let late = 3
    parts.log.beforeAnswer = async () => {
      if (late-- > 0) parts.commit()
    }
    const { sink } = await parts.open()
    await sink.isLive.promise
    parts.commit()
    expect(sink.ids).toEqual(upTo(parts.log.ids.length))
  })

  test('when hints are late, doubled, out of order or lost', async () => {
    using parts = setUp()
    const { sink } = await parts.open()
    await sink.isLive.promise
    const [one, two, three, lost, five] = [1, 2, 3, 4, 5].map(() => parts.commit(false))
    for (const event of [two, two, one, three, one, five]) if (event) parts.tell(event)
    expect(sink.ids).toEqual([1, 2, 3])
    expect(await reached(sink, 5)).toEqual([1, 2, 3, lost?.id, 5])
  })

  test('when nobody was told at all: the head check finds it', async () => {
    using parts = setUp()
    const { sink } = await parts.open()
    await sink.isLive.promise
    parts.commit(false)
    expect(await reached(sink, 1)).toEqual([1])
  })

  test('when a hint comes without a body: the log is read at once', async () => {
    using parts = setUp()
    const { sink } = await parts.open()
    await sink.isLive.promise
    const large = parts.commit(false)
    parts.tell({ id: large.id, body: undefined })
    parts.commit()
    expect(await reached(sink, 2)).toEqual([1, 2])
    expect(parts.log.reads).toBe(1)
  })

  test('when a reader cannot take more for a while', async () => {
    using parts = setUp()
    const { feed, sink } = await parts.open()
    await sink.isLive.promise
    const gate = Promise.withResolvers<void>()
    sink.blocked = gate.promise
    parts.commit()
    feed.fallBehind()
    for (let n = 0; n < 500; n += 1) parts.commit()
    expect(sink.ids).toEqual([1])
    sink.blocked = undefined
    gate.resolve()
    expect(await reached(sink, 501)).toEqual(upTo(501))
  })

  test('whatever order two hundred random steps come in', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      using parts = setUp()
      let state = seed
      const random = (below: number) => {
        state = (state * 48_271) % 2_147_483_647
        return state % below
      }
      parts.log.beforeAnswer = async () => {
        for (let n = random(3); n > 0; n -= 1) await Promise.resolve()
      }
      const held: LogEvent[] = []
      const readers = [await parts.open(), await parts.open('oldest', 3)]
      for (let step = 0; step < 200; step += 1) {
        const event = parts.commit(random(3) === 0)
        if (random(2) === 0) held.push(event)
        if (random(4) === 0) for (const each of held.splice(0).reverse()) parts.tell(each)
        if (random(5) === 0) await Promise.resolve()
        if (random(40) === 0) readers.push(await parts.open())
      }
      for (const { sink } of readers) expect(await reached(sink, 200)).toEqual(upTo(200))
    }
  })
})

test('a gap is read once per inbox, not once per reader', async () => {
  using parts = setUp()
  const readers = await Promise.all(Array.from({ length: 10 }, () => parts.open()))
  await Promise.all(readers.map(({ sink }) => sink.isLive.promise))
  const before = parts.log.reads
  parts.commit(false)
  parts.commit()
  for (const { sink } of readers) await reached(sink, 2)
  expect(parts.log.reads - before).toBe(1)
})

test('a new life of the database resets every reader', async () => {
  using parts = setUp()
  parts.commit()
  const { sink } = await parts.open()
  await sink.isLive.promise
  parts.log.epoch = 'e2'
  await expect.poll(() => sink.resets, { timeout: 6_000 }).toEqual(['unknown'])
  parts.commit()
  expect(sink.ids.at(-1)).toBe(2)
})

test('a hint of another life is never taken for an event of this one', async () => {
  using parts = setUp()
  for (let n = 0; n < 5; n += 1) parts.commit()
  const { sink } = await parts.open()
  await sink.isLive.promise
  // Promoted without the last two, and drawn anew; two others have their ids.
  parts.log.ids.length = 3
  parts.log.epoch = 'e2'
  parts.commit()
  await expect.poll(() => sink.resets).toEqual(['unknown'])
  parts.tell({ id: 5, database_epoch: 'e1' })
  expect(sink.ids).toEqual([1, 2, 3, 4, 5])
  parts.commit()
  expect(await reached(sink, 6)).toEqual([1, 2, 3, 4, 5, 5])
})

test('a database that lacks what was delivered from it begins another life', async () => {
  using parts = setUp()
  for (let n = 0; n < 3; n += 1) parts.commit()
  const { sink } = await parts.open()
  await sink.isLive.promise
  parts.log.ids.length = 2
  await expect.poll(() => sink.resets, { timeout: 6_000 }).toEqual(['unknown'])
  expect(parts.log.epoch).toBe('e1+')
})

test('events that are no longer kept are a reset, not a search without end', async () => {
  using parts = setUp()
  parts.commit()
  const { sink } = await parts.open()
  await sink.isLive.promise
  const kept = Array.from({ length: 600 }, (_, n) => ({ id: 100 + n, body }))
  parts.log.readAfter = async (_, _epoch, after, limit) => {
    parts.log.reads += 1
    if (parts.log.reads > 20) throw new Error('it reads on and on')
    return kept.filter(({ id }) => id > after).slice(0, limit)
  }
  parts.tell({ id: 699, body })
  await expect.poll(() => sink.resets).toEqual(['expired'])
  await expect.poll(() => sink.ids.at(-1)).toBe(699)
  expect(parts.log.reads).toBeLessThan(5)
})
