import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { connect } from '../src/client/client.ts'
import type { Message } from '../src/protocol/types.ts'
import * as boxes from './hostile/boxes/unlisted.ts'
import { type Behaviour, HttpBox } from './hostile/http-box.ts'
import { meet } from './hostile/travellers/meeting.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()

const MESSAGES = 40
const EVERY_MS = 250
const PAUSE_MS = 4_000
const ARRIVAL_MS = 40_000
const SECOND_SPELL_MS = 10_000

/** `spellMs`: how long its bad spells last, at the start and, at most 10 s, behind the pause; `ownMs`: what an answer costs there. */
type Trip = { behaviour: Behaviour; spellMs?: number; isSilent?: true; ownMs?: number }

const trips: Record<string, Trip> = {
  'a captive portal': { behaviour: boxes.captivePortal, spellMs: 15_000 },
  'a redirect to a login page': { behaviour: boxes.loginRedirect, spellMs: 15_000 },
  'one that stalls after 6 KB': { behaviour: boxes.staller },
  'one that refuses streaming types': { behaviour: boxes.noStreams },
  'a cache that ignores no-store and queries': { behaviour: boxes.cache },
  'one that sends each POST twice': { behaviour: boxes.repeater },
  'one that strips keys and loses answers': { behaviour: boxes.keyStripper },
  'one that asks for its own password': { behaviour: boxes.passwordAsker },
  'one that truncates JSON': { behaviour: boxes.truncator },
  'one that asks to come again in an hour': { behaviour: boxes.hourAway, spellMs: 5_000, ownMs: 5_000 },
  'one that lets answers live 5 s': { behaviour: boxes.fiveSeconds },
  'a black hole': { behaviour: boxes.blackHole, spellMs: 20_000, isSilent: true },
  'a latency that swings': { behaviour: boxes.swinger, ownMs: 3_000 },
  'one that buffers uploads and says 100': { behaviour: boxes.uploader },
  'one that compresses': { behaviour: boxes.compressor },
  'one that compresses text and does not say so': { behaviour: boxes.mumbler },
  'one that holds each answer and delays it': { behaviour: boxes.thinker, ownMs: 3_000 },
  'one that allows two connections': { behaviour: boxes.twoConnections },
  'one that refuses GETs that ask for a stream or poll': { behaviour: boxes.noGets },
  'one that strips the queries of GETs': { behaviour: boxes.noQueries },
  'one request per connection': { behaviour: boxes.oneEach },
}

type Log = {
  down: string[]
  up: string[]
  /** Ms from `connect` or the end of the spell to the first message; from the end of the second spell to the next one. */
  firstMs: number
  backMs: number
  rungs: string[]
  refreshes: number
}

async function travel({ behaviour, spellMs = 0, isSilent }: Trip): Promise<Log> {
  const meeting = await meet({ http: gateway.url, https: '' })
  await using box = await HttpBox.before(gateway.url, behaviour, spellMs > 0)
  const log: Log = { down: [], up: [], firstMs: -1, backMs: -1, rungs: [], refreshes: 0 }
  const { near, conversation, cursor } = meeting
  const chat = connect({
    url: box.url,
    after: cursor,
    getToken: (options) => {
      log.refreshes += Number(options?.refresh === true)
      return near.session.access_token
    },
  })
  let heardAt = 0
  chat.on('event', (event) => {
    const { sender_id, text } = (event.message ?? {}) as Partial<Message>
    if (text === undefined || sender_id === near.id) return
    heardAt = performance.now()
    log.down.push(text)
  })
  chat.on('status', ({ state, transport }) => {
    if (state === 'live' && transport !== log.rungs.at(-1)) log.rungs.push(transport)
  })
  const heardSince = async (since: number) => {
    await until('a message', () => heardAt > since, ARRIVAL_MS).catch(() => {})
    return heardAt > since ? Math.round(heardAt - since) : Number.POSITIVE_INFINITY
  }
  const talk = async (from: number, to: number) => {
    for (let index = from; index < to; index += 1) {
      void chat.send(conversation, `${index}`).catch(() => {})
      await meeting.say(`${index}`)
      await pause(EVERY_MS)
    }
  }
  const half = MESSAGES / 2
  if (spellMs > 0) {
    const talking = talk(0, half)
    await pause(spellMs)
    box.trouble(false)
    log.firstMs = await heardSince(performance.now())
    await talking
    await pause(PAUSE_MS)
    box.trouble(true)
    if (!isSilent) box.cut()
    const more = talk(half, MESSAGES)
    await pause(Math.min(spellMs, SECOND_SPELL_MS))
    box.trouble(false)
    log.backMs = await heardSince(performance.now())
    await more
  } else {
    const first = heardSince(performance.now())
    await talk(0, half)
    log.firstMs = await first
    await pause(PAUSE_MS)
    await talk(half, MESSAGES)
  }
  await until(
    'all',
    () => log.down.length >= MESSAGES && meeting.arrived.length >= MESSAGES,
    ARRIVAL_MS,
  ).catch(() => {})
  chat.close()
  log.up = meeting.arrived.map(({ text }) => text)
  await meeting.end()
  return log
}

// All at once: they wait for most of the time.
vi.setConfig({ maxConcurrency: 30, testTimeout: 180_000 })

const all = Array.from({ length: MESSAGES }, (_, index) => `${index}`)

describe.concurrent('P10: what nobody listed lets chat through', () => {
  test.each(Object.entries(trips))('%s', async (_, trip) => {
    const { ownMs = 0 } = trip
    const { down, up, firstMs, backMs, rungs, refreshes } = await travel(trip)
    expect({ down, up, refreshes }).toEqual({ down: all, up: all, refreshes: 0 })
    // That it comes is what is promised; how soon is measured in the lab, on a machine that does nothing else.
    expect(firstMs).toBeLessThan(30_000 + ownMs)
    expect(backMs).toBeLessThan(30_000 + ownMs)
    // The one it began with, and at most two changes in this minute.
    expect(rungs.length).toBeLessThanOrEqual(3)
  })
})

test('P10: a device that reads from an earlier place gets there through one that strips queries', async () => {
  const { say, near, cursor, end } = await meet({ http: gateway.url, https: '' })
  await using box = await HttpBox.before(gateway.url, boxes.noQueries, false)
  for (const text of ['one', 'two', 'three']) await say(text)
  const chat = connect({ url: box.url, after: cursor, getToken: () => near.session.access_token })
  const texts: unknown[] = []
  chat.on('event', ({ message }) => texts.push((message as Message | undefined)?.text))
  await until('what was said before', () => texts.length >= 3, ARRIVAL_MS)
  chat.close()
  expect(texts).toEqual(['one', 'two', 'three'])
  await end()
})
