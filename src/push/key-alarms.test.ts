import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { keyAlarms } from './key-alarms.ts'

let lines: { service: string; reason: string }[]
let raise: ReturnType<typeof keyAlarms>

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  lines = []
  raise = keyAlarms({ error: (about) => void lines.push(about) })
})

const origins = (count: number) => Array.from({ length: count }, (_, n) => `https://${n}.example`)

test('each service that took pushes before raises it once a minute', () => {
  for (let n = 0; n < 3; n += 1) for (const origin of origins(2)) raise(origin, 'unknown key', true)
  expect(lines).toEqual(origins(2).map((service) => ({ service, reason: 'unknown key' })))
  vi.advanceTimersByTime(60_000)
  raise('https://0.example', 'unknown key', true)
  expect(lines).toHaveLength(3)
})

test('all that never took one raise it once a minute together, and take it from nobody else', () => {
  for (const origin of origins(1_000)) raise(origin, 'ha', false)
  raise('https://push.example', 'unknown key', true)
  expect(lines.map(({ service }) => service)).toEqual(['https://0.example', 'https://push.example'])
  vi.advanceTimersByTime(60_000)
  raise('https://push.example', 'unknown key', false)
  expect(lines.at(-1)).toEqual({ service: 'https://push.example', reason: 'unknown key' })
})

test('whoever has thousands of services that take one push first does not fill the log either', () => {
  for (const origin of origins(10_000)) raise(origin, 'ha', true)
  expect(lines.length).toBeLessThan(100)
})
