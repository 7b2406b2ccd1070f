import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Pace } from './pace.ts'

let sends: number
let pace: Pace

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  sends = 0
  pace = new Pace(() => sends, 2)
})

/** How many pushes begin in so long, looked for every 10 ms. */
function begun(ms: number): number {
  let count = 0
  for (let passed = 0; passed < ms; passed += 10) {
    vi.advanceTimersByTime(10)
    const room = pace.room()
    pace.spend(room)
    count += room
  }
  return count
}

describe('two cores', () => {
  test.each([
    { underWay: 0, perSecond: 2_500 },
    { underWay: 12, perSecond: 2_500 },
    { underWay: 24, perSecond: 625 },
    { underWay: 48, perSecond: 156 },
    { underWay: 5_000, perSecond: 156 },
  ])('begin $perSecond pushes a second beside $underWay sends', ({ underWay, perSecond }) => {
    sends = underWay
    begun(10_000)
    const count = begun(10_000) / 10
    expect(count).toBeGreaterThan(perSecond * 0.9)
    expect(count).toBeLessThanOrEqual(perSecond * 1.01)
  })

  test('are not slowed down by a moment of many sends', () => {
    begun(5_000)
    sends = 64
    begun(20)
    sends = 0
    expect(begun(1_000)).toBeGreaterThan(2_000)
  })
})

describe('work has a rest behind it', () => {
  test('beside many sends, but not for long', () => {
    expect(pace.restMs(10, 0)).toBe(0)
    sends = 48
    begun(10_000)
    expect(pace.restMs(10, 0)).toBeCloseTo(30)
    expect(pace.restMs(500, 0)).toBe(100)
  })

  test('as long as it is not late', () => {
    sends = 48
    begun(10_000)
    expect(pace.restMs(10, 5_000)).toBeCloseTo(15)
    expect(pace.restMs(10, 60_000)).toBe(0)
  })
})

test('a small part of a core comes to an end with its pushes, too', () => {
  pace = new Pace(() => 1_000, 1 / 4)
  begun(10_000)
  expect(begun(10_000)).toBeGreaterThan(180)
})

test('after a long time without pushes a quarter of a second of them begins at once', () => {
  vi.advanceTimersByTime(60_000)
  expect(pace.room()).toBe(625)
})

test('a few are not worth a query', () => {
  sends = 64
  begun(5_000)
  pace.spend(pace.room())
  vi.advanceTimersByTime(10)
  expect(pace.room()).toBe(0)
})
