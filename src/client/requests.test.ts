import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Fetch } from './requests.ts'
import { requestsTo } from './requests-to.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const url = 'http://gateway.example'
const never = <T>() => new Promise<T>(() => {})
const answers: Fetch = async () =>
  new Response('{"id":"me"}', { headers: { 'content-type': 'application/json' } })

/** Gives no heed to `signal`. */
const hangs: Fetch = () => never()
/** A head whose body does not come. */
const stops: Fetch = async () => new Response(new ReadableStream(), { status: 200 })

test.each([
  ['no answer', hangs, undefined, 10_000],
  ['no answer to a POST', hangs, {}, 10_100],
  ['no body', stops, undefined, 25_000],
])(
  'a fetch that ignores its signal and gives %s keeps no request from settling',
  async (_, fetch, body, ms) => {
    const settled = vi.fn()
    void requestsTo({ url, getToken: () => 'token', fetch })
      .json('/v1/users/me', body)
      .then(settled)
    await vi.advanceTimersByTimeAsync(ms - 1_000)
    expect(settled).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1_500)
    expect(settled).toHaveBeenCalledWith(expect.objectContaining({ ok: false, fault: 'broken' }))
  },
)

test('a token that does not come within 15 s is given up, and asked for again', async () => {
  const getToken = vi.fn<() => string | Promise<string>>(() => 'token')
  getToken.mockImplementationOnce(never)
  const requests = requestsTo({ url, getToken, fetch: answers })
  const first = vi.fn()
  void requests.json('/v1/users/me').then(first)
  await vi.advanceTimersByTimeAsync(14_000)
  expect(getToken).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(2_000)
  expect(first).toHaveBeenCalled()
  const second = vi.fn()
  void requests.json('/v1/users/me').then(second)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(getToken).toHaveBeenCalledTimes(2)
  expect(second).toHaveBeenCalledWith(expect.objectContaining({ ok: true }))
})
