import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { Allowance } from './allowance.ts'

let perSecond: number
let allowance: Allowance

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  perSecond = 1_000
  allowance = new Allowance(() => perSecond)
})

/** How many begin in so long, looked for every 10 ms. */
function begun(ms: number): number {
  let count = 0
  for (let passed = 0; passed < ms; passed += 10) {
    vi.advanceTimersByTime(10)
    const room = allowance.room()
    allowance.spend(room)
    count += room
  }
  return count
}

test('as many begin as the rate allows, also while it changes', () => {
  expect(begun(10_000) / 10_000).toBeCloseTo(1, 1)
  perSecond = 100
  expect(begun(10_000) / 1_000).toBeCloseTo(1, 1)
})

test('after a long time half a second of them begins at once', () => {
  vi.advanceTimersByTime(60_000)
  expect(allowance.room()).toBe(500)
})

test('a few are not worth a query', () => {
  perSecond = 156
  vi.advanceTimersByTime(100)
  expect(allowance.room()).toBe(0)
  vi.advanceTimersByTime(10)
  expect(allowance.room()).toBe(17)
})

test('at the slowest rate there is room in the end', () => {
  perSecond = 1
  expect(begun(60_000)).toBeGreaterThan(40)
})
