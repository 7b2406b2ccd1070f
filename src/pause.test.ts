import { expect, test } from 'vitest'
import { pause, Waker } from './pause.ts'

const LONG_MS = 3_600_000

test('a pause ends with its signal, also with one that was aborted before', async () => {
  const ending = new AbortController()
  const paused = pause(LONG_MS, ending.signal)
  ending.abort()
  await paused
  await pause(LONG_MS, ending.signal)
})

test('whoever is woken pauses no longer; woken before, not at all, and once only', async () => {
  const waker = new Waker()
  const paused = waker.pause(LONG_MS)
  waker.wake()
  await paused
  waker.wake()
  await waker.pause(LONG_MS)
  let isOver = false
  const next = waker.pause(LONG_MS).then(() => {
    isOver = true
  })
  await pause(20)
  expect(isOver).toBe(false)
  waker.close()
  await next
  await waker.pause(LONG_MS)
})
