import { type Answer, mayMend, requestsTo } from '../client/client.ts'
import { fetchAsMe } from './account.ts'

/** What went wrong with a request, in words for a person. */
export class ApiError extends Error {
  /** 0 if there was no answer. */
  readonly status: number
  /** Empty if this server did not write the answer. */
  readonly code: string
  /** Milliseconds to wait, if the server said so. */
  readonly retryAfterMs: number | undefined
  /** Whether the same request may well succeed later. */
  readonly isTransient: boolean

  constructor(answer: Answer & { ok: false }) {
    super(wordsFor(answer))
    this.name = 'ApiError'
    this.status = answer.status
    this.code = answer.code
    this.retryAfterMs = answer.retryAfterMs
    this.isTransient = mayMend(answer)
  }
}

function wordsFor({ status, isOurs, reason }: Answer & { ok: false }): string {
  if (isOurs) return reason
  if (status === 0 || status >= 500) return 'The server cannot be reached just now.'
  return `Something on the way refused the request (${status}).`
}

/** Dispatched on `window` when the server did not know the session. */
export const REFUSED = 'longwave:refused'

const requests = requestsTo({ url: location.origin, cookie: true, fetch: fetchAsMe }, () =>
  dispatchEvent(new Event(REFUSED)),
)

/** Throws ApiError, as all of these do. */
export async function get<T>(path: string): Promise<T> {
  return bodyOf<T>(await requests.json(path))
}

/** `key` makes the request safe to repeat: Idempotency-Key. */
export async function post<T>(path: string, body: object, key?: string): Promise<T> {
  return bodyOf<T>(await requests.json(path, body, { key }))
}

/** PUT, PATCH and DELETE travel as POST, since some proxies let nothing else through. */
export function put(path: string, body: object = {}): Promise<void> {
  return post(`${path}?_method=PUT`, body)
}

export function patch<T>(path: string, body: object): Promise<T> {
  return post(`${path}?_method=PATCH`, body)
}

export function remove(path: string): Promise<void> {
  return post(`${path}?_method=DELETE`, {})
}

function bodyOf<T>(answer: Answer): T {
  if (answer.ok) return answer.body as T
  throw new ApiError(answer)
}
