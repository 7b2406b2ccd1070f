import { expect } from 'vitest'
import type { Answer } from './person.ts'

/** What no answer may show: SQL, stacks, addresses, files. */
const INSIDES = /\b(SELECT|INSERT|UPDATE) |postgres|\bat .+:\d+|\.ts\b|node_modules|127\.0\.0\.1|\/tmp|ECONN/

type ProblemBody = { detail: string; errors?: { path: string; message: string }[] }

/** Holds an answer to RFC 9457 as the protocol narrows it, and to what every answer of `/v1` carries. */
export function expectProblem(answer: Answer<unknown>, status: number, code: string): ProblemBody {
  expect(answer.text, 'the body of a problem').not.toBe('')
  expect(answer.body).toMatchObject({ status, code })
  expect(answer.status).toBe(status)
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  const { type, title, detail, errors } = answer.body as Record<string, unknown>
  for (const text of [type, title, detail]) expect(text).toEqual(expect.stringMatching(/./))
  expect(detail).not.toMatch(INSIDES)
  for (const each of (errors ?? []) as unknown[]) {
    expect(each).toEqual({ path: expect.any(String), message: expect.any(String) })
  }
  if (status === 429 || status === 503) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  expectStanding(answer)
  return answer.body as ProblemBody
}

/** What every answer of `/v1` but a stream carries. */
export function expectStanding(answer: Answer<unknown>): void {
  expect(answer.headers.get('cache-control')).toBe('private, no-store')
  expect(answer.headers.get('x-request-id')).toMatch(/^[\w-]{8,}$/)
}
