import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { type Place, PushServices } from './services.ts'

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
  place.succeeded()
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
