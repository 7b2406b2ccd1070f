import { expect, onTestFinished, test, vi } from 'vitest'
import { Losses } from './losses.ts'

test('what was lost is taken once it has settled, all of it, and what is newer once more', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const losses = new Losses()
  expect(losses.take(100)).toBeUndefined()
  losses.add(performance.now())
  vi.advanceTimersByTime(60)
  expect(losses.take(100)).toBeUndefined()
  losses.add(performance.now())
  vi.advanceTimersByTime(60)
  expect(losses.take(100)).toEqual({ sinceMs: 120 })
  expect(losses.take(100)).toBeUndefined()
  vi.advanceTimersByTime(60)
  expect(losses.take(100)).toEqual({ sinceMs: 120 })
  vi.advanceTimersByTime(1_000)
  expect(losses.take(100)).toBeUndefined()
})
