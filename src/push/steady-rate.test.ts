import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { SteadyRate } from './steady-rate.ts'

let rate: SteadyRate

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  rate = new SteadyRate()
})

test.each([
  { counts: [], perSecond: 0 },
  { counts: [500, 500], perSecond: 0 },
  { counts: [500, 500, 500], perSecond: 500 },
  { counts: [500, 500, 500, 500, 500], perSecond: 500 },
  { counts: [500, 500, 500, 0, 900], perSecond: 500 },
  { counts: [0, 0, 9_000, 1_000], perSecond: 0 },
  { counts: [7, 7, 7, 9_000, 1_000, 7], perSecond: 7 },
  { counts: [500, 500, 500, 500, 0, 0], perSecond: 0 },
])('of $counts it is $perSecond', ({ counts, perSecond }) => {
  for (const count of counts) {
    rate.add(count / 2)
    vi.advanceTimersByTime(500)
    rate.add(count / 2)
    vi.advanceTimersByTime(500)
  }
  expect(rate.perSecond).toBe(perSecond)
})

test('what came long ago counts no more', () => {
  for (let second = 0; second < 9; second += 1) {
    rate.add(500)
    vi.advanceTimersByTime(1_000)
  }
  vi.advanceTimersByTime(3_600_000)
  expect(rate.perSecond).toBe(0)
})
