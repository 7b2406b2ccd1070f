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

/** The pace after so long, looked for every 10 ms. */
function paceAfter(ms: number): number {
  for (let passed = 0; passed < ms; passed += 10) {
    vi.advanceTimersByTime(10)
    void pace.pushesPerSecond
  }
  return pace.pushesPerSecond
}

function arrive(count: number): void {
  for (let n = 0; n < count; n += 1) pace.arrived()
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
    expect(paceAfter(10_000) / perSecond).toBeCloseTo(1, 1)
  })

  test.each([
    { arriving: 10, perSecond: 156, judged: 156 },
    { arriving: 400, perSecond: 600, judged: 1_200 },
    { arriving: 1_000, perSecond: 1_250, judged: 3_000 },
    { arriving: 20_000, perSecond: 1_250, judged: 5_000 },
  ])('begin $perSecond where $arriving a second come all the time, and judge $judged', (given) => {
    const { arriving, perSecond, judged } = given
    sends = 48
    for (let second = 0; second < 6; second += 1) {
      arrive(arriving)
      paceAfter(1_000)
    }
    expect(pace.pushesPerSecond / perSecond).toBeCloseTo(1, 1)
    expect(pace.judgedPerSecond / judged).toBeCloseTo(1, 1)
  })

  test('take their time with what comes at once', () => {
    sends = 48
    paceAfter(10_000)
    for (const count of [6_000, 4_000]) {
      arrive(count)
      paceAfter(1_000)
    }
    for (let tenth = 0; tenth < 50; tenth += 1) {
      expect(paceAfter(100)).toBeLessThan(160)
      expect(pace.judgedPerSecond).toBeLessThan(160)
    }
  })

  test('are hardly slowed down by a moment of many sends', () => {
    paceAfter(5_000)
    sends = 64
    paceAfter(20)
    sends = 0
    expect(paceAfter(100)).toBeGreaterThan(2_000)
  })
})

test('a small part of a core comes to an end with its pushes, too', () => {
  pace = new Pace(() => 1_000, 1 / 4)
  expect(paceAfter(10_000)).toBeGreaterThan(18)
})
