import { expect, test } from 'vitest'
import { parseRetryAfter } from './push-answer.ts'

const NOW = Date.parse('2026-11-21T09:00:00Z')

test.each([
  [undefined, undefined],
  ['0', 0],
  ['120', 120_000],
  ['86401', 86_400_000],
  ['99999999999999999999', 86_400_000],
  ['Sat, 21 Nov 2026 09:00:30 GMT', 30_000],
  ['Sat, 21 Nov 2026 08:00:00 GMT', 0],
  ['Sun, 21 Nov 2027 09:00:00 GMT', 86_400_000],
  ['-5', undefined],
  ['1.5', undefined],
  ['soon', undefined],
  ['soon GMT', undefined],
  ['', undefined],
])('Retry-After %j is %j ms', (header, ms) => {
  expect(parseRetryAfter(header, NOW)).toBe(ms)
})
