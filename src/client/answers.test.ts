import { expect, test } from 'vitest'
import { classify, mayMend } from './answers.ts'

const PROBLEM = 'application/problem+json'

/** When the answers are from, as they say. */
const DATE = 'Sat, 21 Nov 2015 07:28:00 GMT'

/** What an answer is taken for: its fault, and whether repeating the request may mend it. */
function verdict(status: number, type: string, text: string, retryAfter?: string) {
  const headers = { 'content-type': type, date: DATE, ...(retryAfter && { 'retry-after': retryAfter }) }
  const answer = classify(status, new Headers(headers), text)
  return answer.ok ? 'ok' : [answer.fault, mayMend(answer) ? 'again' : 'for good', answer.retryAfterMs]
}

const problem = (code: string) => JSON.stringify({ code, detail: 'Do this.' })

test.each([
  ['a poll', 200, 'application/json', '{"cursor":"e-1","events":[]}', 'ok'],
  ['JSON whose type a box changed', 200, 'text/plain', '{"cursor":"e-1"}', 'ok'],
  ['no content', 204, '', '', 'ok'],
  ['a captive portal', 200, 'text/html', '<html>Sign in</html>', ['refused', 'again', undefined]],
  ['an empty 200', 200, 'application/json', '', ['broken', 'again', undefined]],
  ['a truncated one', 200, 'application/json', '{"cursor":"e-1","ev', ['broken', 'again', undefined]],
  ['JSON that is no object', 200, 'application/json', '"ok"', ['broken', 'again', undefined]],
  ['a box that forbids', 403, 'text/html', '<html>Blocked</html>', ['refused', 'again', undefined]],
  ['a proxy that wants a password', 407, 'text/html', '', ['refused', 'again', undefined]],
  ['a proxy without a server', 502, 'text/html', '<html>', ['broken', 'again', undefined]],
  ['a redirect somewhere', 302, 'text/html', '', ['refused', 'again', undefined]],
  ['our 401', 401, PROBLEM, problem('token_expired'), ['auth', 'again', undefined]],
  ["a box's 401", 401, 'text/html', '', ['refused', 'again', undefined]],
  ['our 404', 404, PROBLEM, problem('not_found'), ['refused', 'for good', undefined]],
  ["a box's 404", 404, 'text/html', '<h1>404</h1>', ['refused', 'again', undefined]],
  ['our 422', 422, PROBLEM, problem('text_too_long'), ['refused', 'for good', undefined]],
  [
    'a first request under way',
    409,
    PROBLEM,
    problem('request_in_progress'),
    ['refused', 'again', undefined],
  ],
  ['a body too large for a box', 413, 'text/html', '', ['refused', 'for good', undefined]],
  ['our 503', 503, PROBLEM, problem('unavailable'), ['busy', 'again', 2_000], '2'],
  ['a 429 from anything', 429, 'text/html', '', ['busy', 'again', 5_000], '5'],
  ['our own long Retry-After', 429, PROBLEM, problem('rate_limited'), ['busy', 'again', 30_000], '30'],
  ['our own beyond reason', 503, PROBLEM, problem('unavailable'), ['busy', 'again', 600_000], '86400'],
  ['a box that says come again in 20 s', 503, 'text/html', '', ['busy', 'again', 20_000], '20'],
  ['a box that says come again in an hour', 503, 'text/html', '', ['busy', 'again', 30_000], '3600'],
  [
    'our own Retry-After as a date, of its own clock',
    503,
    PROBLEM,
    problem('unavailable'),
    ['busy', 'again', 60_000],
    'Sat, 21 Nov 2015 07:29:00 GMT',
  ],
  ["a box's as a date", 429, 'text/html', '', ['busy', 'again', 20_000], 'Sat, 21 Nov 2015 07:28:20 GMT'],
  [
    "a box's as a date an hour off",
    503,
    'text/html',
    '',
    ['busy', 'again', 30_000],
    'Sat, 21 Nov 2015 08:28:00 GMT',
  ],
  [
    'a Retry-After that is past',
    503,
    'text/html',
    '',
    ['busy', 'again', undefined],
    'Sat, 21 Nov 2015 07:27:00 GMT',
  ],
  ['a Retry-After that is neither', 503, 'text/html', '', ['busy', 'again', undefined], 'soon'],
] as [string, number, string, string, unknown, string?][])('%s', (_, status, type, text, expected, after) => {
  expect(verdict(status, type, text, after)).toEqual(expected)
})
