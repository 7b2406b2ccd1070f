import { type Answer, classify, noAnswer } from './answers.ts'
import type { Credentials } from './credentials.ts'
import { freshConnection } from './fresh-connection.ts'
import { hedged } from './hedged.ts'

/** An answer has this long, and as much more as its question takes at 1,000 characters (1 to 3 KB) a second. */
const ANSWER_MS = 10_000
/** Once it has begun it has this long: 48 KB at 2 KB/s. */
const BODY_MS = 25_000
/** What is not answered after this, or so many round trips, is sent a second time beside the first. */
const HEDGE_MS = 2_000
const HEDGE_ROUND_TRIPS = 4

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>

export type JsonOptions = { key?: string | undefined; isRetry?: boolean; signal?: AbortSignal | undefined }

/** A POST of JSON, with its length. */
export function postOf(body: string): RequestInit {
  return { method: 'POST', body, headers: { 'Content-Type': 'application/json' } }
}

/** Requests to one gateway, by one caller. */
export class Requests {
  readonly base: string
  readonly credentials: Credentials
  readonly #fetch: Fetch
  /** How long an answer takes here (ms). */
  #rtt = 0

  constructor(base: string, credentials: Credentials, fetch: Fetch) {
    this.base = base.replace(/\/+$/, '')
    this.credentials = credentials
    this.#fetch = fetch
  }

  /**
   * Sends a request with this caller's credentials. `isRetry` asks for a connection of its own, where the runtime lets
   * that be said (browsers do not): one on which the last request died may be one that a NAT has forgotten.
   */
  async send(path: string, init: RequestInit & { isRetry?: boolean | undefined }): Promise<Response> {
    const { isRetry, ...rest } = init
    const token = await this.credentials.token()
    const fresh = isRetry ? freshConnection() : undefined
    const headers = {
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...fresh?.headers,
      ...(init.headers as Record<string, string>),
    }
    const response = await this.#fetch(this.base + path, {
      ...rest,
      ...fresh,
      headers,
      cache: 'no-store',
      credentials: this.credentials.isCookie ? 'include' : 'omit',
    })
    // A 401 of a proxy says nothing of this token.
    if (response.status === 401 && /json/.test(response.headers.get('content-type') ?? ''))
      await this.credentials.refuse(token)
    return response
  }

  /**
   * POSTs JSON with its length, or GETs where there is none, within a time that goes by its size. It may be sent twice
   * where that does no harm. Never rejects.
   */
  async json(path: string, body?: object, { key, isRetry, signal }: JsonOptions = {}): Promise<Answer> {
    const text = body && JSON.stringify(body)
    // A millisecond for each character.
    const sizeMs = text?.length ?? 0
    const ending = new AbortController()
    const end = () => ending.abort()
    // Whatever the fetch that was given makes of its signal.
    const givenUp = new Promise<Answer>((resolve) => {
      ending.signal.addEventListener('abort', () => resolve(noAnswer('no answer in time')))
    })
    let timeout = setTimeout(end, ANSWER_MS + sizeMs)
    signal?.addEventListener('abort', end)
    const ask = async (isHedge: boolean, begun?: () => void): Promise<Answer> => {
      try {
        const since = performance.now()
        const post = text === undefined ? undefined : postOf(text)
        const response = await this.send(path, {
          ...post,
          headers: { ...post?.headers, ...(key !== undefined && { 'Idempotency-Key': key }) },
          signal: ending.signal,
          isRetry: isRetry || isHedge,
        })
        begun?.()
        clearTimeout(timeout)
        timeout = setTimeout(end, BODY_MS)
        const answer = classify(response.status, response.headers, await response.text())
        this.#rtt += (performance.now() - since - this.#rtt) * 0.3
        return answer
      } catch (error) {
        return noAnswer(String(error))
      }
    }
    // What creates something is made twice only under one key.
    const mayRepeat = !text || key !== undefined || path.includes('_method=PUT')
    const patienceMs = Math.max(HEDGE_MS, HEDGE_ROUND_TRIPS * this.#rtt) + sizeMs
    const asked = mayRepeat ? hedged(ask, patienceMs) : ask(false)
    const answer = await Promise.race([givenUp, asked])
    clearTimeout(timeout)
    signal?.removeEventListener('abort', end)
    // The other one, if there is one, is of no use any more.
    end()
    return answer
  }
}
