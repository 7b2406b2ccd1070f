/** What went wrong with a request, in words for a person. */
export class ApiError extends Error {
  /** 0 if there was no answer, or none that this server wrote. */
  readonly status: number
  readonly code: string
  /** Milliseconds to wait, if the server said so. */
  readonly retryAfter: number | undefined

  constructor(status: number, code: string, message: string, retryAfter?: number) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.retryAfter = retryAfter
  }

  /** Whether the same request may well succeed later. */
  get isTransient(): boolean {
    return (
      this.status === 0 ||
      this.status >= 500 ||
      [408, 425, 429].includes(this.status) ||
      this.code === 'request_in_progress'
    )
  }
}

/** Dispatched on `window` when the server no longer knows the session. */
export const SIGNED_OUT = 'longwave:signed-out'

/** A connection that hangs is as good as none. */
const ANSWER_WITHIN_MS = 30_000
const UNREACHABLE = 'The server cannot be reached just now.'

export function get<T>(path: string): Promise<T> {
  return request<T>(path, { method: 'GET' })
}

/** `key` makes the request safe to repeat: Idempotency-Key. */
export function post<T>(path: string, body: object, key?: string): Promise<T> {
  return request<T>(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(key && { 'Idempotency-Key': key }) },
    body: JSON.stringify(body),
  })
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

/** A fresh key; `crypto.randomUUID` is missing on plain-http addresses other than localhost. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

async function request<T>(path: string, init: RequestInit): Promise<T> {
  const answer = await receive(path, init)
  if (answer.ok) return answer.body as T
  const error = problemOf(answer)
  if (error.status === 401 && error.code !== 'bad_credentials') dispatchEvent(new Event(SIGNED_OUT))
  throw error
}

type Answer = { ok: boolean; status: number; body: unknown; isJson: boolean; retryAfter: string | null }

async function receive(path: string, init: RequestInit): Promise<Answer> {
  try {
    const response = await fetch(path, { ...init, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
    const { ok, status, headers } = response
    const text = await response.text()
    const isJson = /^application\/([a-z.-]+\+)?json\b/.test(headers.get('Content-Type') ?? '')
    // A captive portal answers 200 with its own page: that is no answer.
    if (ok && status !== 204 && !isJson) throw new TypeError('not JSON')
    const body: unknown = isJson && text !== '' ? JSON.parse(text) : undefined
    return { ok, status, body, isJson, retryAfter: headers.get('Retry-After') }
  } catch (cause) {
    throw Object.assign(new ApiError(0, 'unreachable', UNREACHABLE), { cause })
  }
}

type ProblemBody = { code?: string; title?: string; detail?: string; errors?: { message: string }[] }

function problemOf({ status, body, isJson, retryAfter }: Answer): ApiError {
  if (!isJson) {
    const words = status >= 500 ? UNREACHABLE : `Something on the way refused the request (${status}).`
    return new ApiError(status, 'unknown', words)
  }
  const { code = 'unknown', title, detail, errors } = body as ProblemBody
  const reasons = (errors ?? []).map((each) => each.message).join('; ')
  const words = code === 'validation_failed' && reasons ? `${title}: ${reasons}.` : detail
  const seconds = Number(retryAfter)
  const wait = retryAfter !== null && seconds >= 0 ? seconds * 1_000 : undefined
  return new ApiError(status, code, words ?? `The server answered ${status}.`, wait)
}
