import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Place } from './service.ts'
import { PushServices } from './services.ts'

let services: PushServices

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  vi.advanceTimersByTime(1_000)
  services = new PushServices()
})

const at = (name: string, host = 'push.example') => `https://${host}/${name}`

/** A place at the service; fails where there is none. */
async function enter(endpoint: string): Promise<Place> {
  const place = await services.enter(endpoint)
  if ('afterMs' in place) throw new Error(`turned away for ${place.afterMs} ms`)
  return place
}

async function fail(endpoint: string, afterMs?: number): Promise<void> {
  using place = await enter(endpoint)
  place.failed(afterMs)
}

async function succeed(endpoint: string): Promise<void> {
  using place = await enter(endpoint)
  place.accepted()
}

/** Five of different endpoints, one after the other. */
async function failFive(afterMs?: number): Promise<void> {
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    await fail(at(name), afterMs)
    vi.advanceTimersByTime(10)
  }
}

/** For how long others are turned away there, as far as that is known; 0 where they are not. */
async function pauseMs(): Promise<number> {
  const place = await services.enter(at('another'))
  if ('afterMs' in place) return Math.max(place.afterMs - 3_000, 1)
  place[Symbol.dispose]()
  return 0
}

test('a service that fails for one after the other is left alone, and nobody else is', async () => {
  await failFive()
  expect(await pauseMs()).toBeGreaterThan(0)
  await succeed(at('a', 'other.example'))
  vi.advanceTimersByTime(1_000)
  await succeed(at('a'))
  expect(await pauseMs()).toBe(0)
})

test('what fails together counts once', async () => {
  const places = await Promise.all(Array.from({ length: 50 }, (_, n) => enter(at(String(n)))))
  for (const place of places) {
    vi.advanceTimersByTime(1)
    place.failed(undefined)
    place[Symbol.dispose]()
  }
  expect(await pauseMs()).toBe(0)
})

test('what was under way when the pause began makes it no longer', async () => {
  const late = await Promise.all(Array.from({ length: 20 }, (_, n) => enter(at(String(n)))))
  await failFive()
  for (const place of late) {
    place.failed(undefined)
    place[Symbol.dispose]()
  }
  vi.advanceTimersByTime(1_000)
  await succeed(at('a'))
})

test('after the pause one goes ahead; each failure of another endpoint doubles the pause, up to a minute', async () => {
  await failFive()
  for (const ms of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    vi.advanceTimersByTime(ms - 100)
    expect(await services.enter(at('early')), `${ms} ms are not over`).toHaveProperty('afterMs')
    vi.advanceTimersByTime(100)
    const probe = await enter(at(`probe ${ms} ${performance.now()}`))
    const beside = await services.enter(at('beside it'))
    const besideMs = 'afterMs' in beside ? beside.afterMs : 0
    expect(besideMs).toBeGreaterThanOrEqual(Math.min(ms, 10_000))
    expect(besideMs).toBeLessThan(13_000)
    probe.failed(undefined)
    probe[Symbol.dispose]()
  }
  vi.advanceTimersByTime(60_000)
  const interrupted = await enter(at('probe'))
  interrupted[Symbol.dispose]()
  await succeed(at('probe'))
  await Promise.all([enter(at('a')), enter(at('b'))])
})

test('endpoints that always fail count once each, until they are answered', async () => {
  for (let n = 0; n < 100; n += 1) {
    for (const name of ['a', 'b', 'c', 'd']) await fail(at(name))
    vi.advanceTimersByTime(1_000)
  }
  await succeed(at('another'))
  for (const name of ['a', 'b', 'c', 'd', 'e']) await fail(at(name))
  expect(await pauseMs()).toBe(0)
})

test.each([
  [0, 1_000],
  [20_000, 20_000],
  [3_600_000, 60_000],
])('where it asks for %i ms it is left alone for %i', async (afterMs, ms) => {
  await failFive(afterMs)
  vi.advanceTimersByTime(ms - 100)
  expect(await services.enter(at('another'))).toHaveProperty('afterMs')
  vi.advanceTimersByTime(100)
  await succeed(at('another'))
})

test('128 are under way at a service; others wait for a place, and are turned away once it is slow', async () => {
  const places = await Promise.all(Array.from({ length: 128 }, (_, n) => enter(at(String(n)))))
  const waiting = enter(at('next'))
  places[0]?.[Symbol.dispose]()
  await waiting
  vi.advanceTimersByTime(2_001)
  expect(await services.enter(at('late'))).toHaveProperty('afterMs')
})

describe('strangers', () => {
  /** One push under way at each of so many hosts that never answer, from so many endpoints of it. */
  const tryStrangers = async (count: number, endpoints = 1) => {
    const hosts = Array.from({ length: count }, (_, n) => `${n}.strange-${endpoints}.example`)
    const asked = hosts.flatMap((host) => Array.from({ length: endpoints }, (_, n) => at(String(n), host)))
    const entered = await Promise.all(asked.map((each) => services.enter(each)))
    return entered.flatMap((each) => ('afterMs' in each ? [] : [each]))
  }

  test('a few hosts are tried at once, whoever comes to a further one comes again later', async () => {
    const places = await tryStrangers(48)
    expect(places).toHaveLength(48)
    const further = await services.enter(at('a', 'further.example'))
    expect('afterMs' in further && further.afterMs).toBeGreaterThan(2_000)
    places[0]?.[Symbol.dispose]()
    await enter(at('a', 'further.example'))
    expect(await services.enter(at('0', '0.strange-1.example'))).toHaveProperty('afterMs')
  })

  test('some room is kept for hosts that several endpoints are at', async () => {
    await tryStrangers(1_000)
    for (const name of ['a', 'a', 'b', 'c']) expect(await services.enter(at(name))).toHaveProperty('afterMs')
    await succeed(at('d'))
    await enter(at('a'))
    await tryStrangers(100, 4)
    expect(await services.enter(at('a', 'further.example'))).toHaveProperty('afterMs')
    await enter(at('b'))
  })

  test('64 hosts have something under way at most', async () => {
    await tryStrangers(48)
    expect(await tryStrangers(100, 4)).toHaveLength(16)
    expect(await tryStrangers(100, 5)).toEqual([])
  })

  test('many pushes to one of them share its place, within the bound of each', async () => {
    await tryStrangers(47)
    const places = await Promise.all(Array.from({ length: 128 }, (_, n) => enter(at(String(n)))))
    const waiting = enter(at('next'))
    places[0]?.accepted()
    places[0]?.[Symbol.dispose]()
    await waiting
  })

  test('who has accepted a push waits for none of them, and keeps nobody from being tried', async () => {
    await succeed(at('a'))
    await enter(at('b'))
    await tryStrangers(100)
    await tryStrangers(100, 4)
    const places = await Promise.all(Array.from({ length: 127 }, (_, n) => enter(at(String(n)))))
    expect(places).toHaveLength(127)
    expect([services.isKnown(at('c')), services.isKnown(at('0', '0.strange-1.example'))]).toEqual([
      true,
      false,
    ])
  })

  test.each([
    'fcm.googleapis.com',
    'updates.push.services.mozilla.com',
    'web.push.apple.com',
    'wns2-par02p.notify.windows.com',
  ])('%s, where browsers are, is none', async (host) => {
    await tryStrangers(100)
    await tryStrangers(100, 4)
    await enter(at('a', host))
    expect(services.isKnown(at('b', host))).toBe(true)
    expect(await services.enter(at('a', `${host}.strange.example`))).toHaveProperty('afterMs')
  })

  test('one that accepts while others of its pushes are under way makes room at once', async () => {
    const [good] = await Promise.all([enter(at('a')), enter(at('b')), tryStrangers(47)])
    expect(await services.enter(at('a', 'further.example'))).toHaveProperty('afterMs')
    good.accepted()
    await enter(at('a', 'further.example'))
  })

  test('an answer that is a refusal makes nobody known', async () => {
    using place = await enter(at('a'))
    place.refused()
    expect(services.isKnown(at('a'))).toBe(false)
  })

  test('a host that finds no room again and again comes the later, up to a minute; those to it that ask meanwhile with it', async () => {
    await tryStrangers(48)
    for (const ms of [2_000, 4_000, 8_000, 16_000, 32_000, 32_000]) {
      for (const name of ['a', 'b']) {
        const away = await services.enter(at(name))
        const afterMs = 'afterMs' in away ? away.afterMs : 0
        expect(afterMs).toBeGreaterThanOrEqual(ms)
        expect(afterMs).toBeLessThan(ms + Math.max(ms, 3_000))
      }
      vi.advanceTimersByTime(ms)
    }
  })

  test('of ten thousand that accepted, the longest unused is forgotten for the next; strangers make nobody forget it', async () => {
    await succeed(at('a'))
    await succeed(at('b', 'used.example'))
    for (let n = 0; n < 9_998; n += 1) await succeed(at('a', `${n}.known.example`))
    for (let n = 0; n < 10_001; n += 1) await fail(at('a', `${n}.strange.example`))
    await succeed(at('b', 'used.example'))
    expect(services.isKnown(at('a'))).toBe(true)
    await succeed(at('a', 'next.example'))
    expect([services.isKnown(at('a')), services.isKnown(at('b', 'used.example'))]).toEqual([false, true])
  })
})
