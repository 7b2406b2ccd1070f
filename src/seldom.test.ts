import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { Seldom } from './seldom.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
})

test('each key is let through once in a while, whatever others do', () => {
  const seldom = new Seldom(1_000)
  expect(['a', 'b', 'a'].map((key) => seldom.admits(key))).toEqual([true, true, false])
  vi.advanceTimersByTime(999)
  expect(seldom.admits('a')).toBe(false)
  vi.advanceTimersByTime(1)
  expect(seldom.admits('a')).toBe(true)
})

test('no more keys than are allowed are let through in a while', () => {
  const seldom = new Seldom(1_000, 2)
  expect(['a', 'b', 'c'].map((key) => seldom.admits(key))).toEqual([true, true, false])
  vi.advanceTimersByTime(1_000)
  expect(['c', 'd', 'e'].map((key) => seldom.admits(key))).toEqual([true, true, false])
})
