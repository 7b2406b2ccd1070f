import type { Failure } from './ladder/draft.ts'

const LONGEST_OF_A_BOX_MS = 30_000

/** What a request came to: what the server said, or why there is no such thing. */
export type Answer =
  | { ok: true; status: number; body: unknown }
  | ({ ok: false; status: number; code: string; isOurs: boolean } & Failure)

/** What the network did: there was no answer, or it was not whole. */
export function noAnswer(reason: string): Answer & { ok: false } {
  return { ok: false, status: 0, code: '', isOurs: false, fault: 'broken', reason }
}

/**
 * The one place that says what an answer means. Anything that is not JSON was written by something on the way, whatever
 * its status: a captive portal, a block page, a proxy's own error. Only `application/problem+json` is the server's refusal.
 */
export function classify(status: number, headers: Headers, text: string): Answer {
  const body = parseJson(text)
  const type = headers.get('content-type') ?? ''
  if (status >= 200 && status < 300) {
    if (status === 204) return { ok: true, status, body: {} }
    if (typeof body === 'object' && body !== null) return { ok: true, status, body }
    if (text === '' || type.includes('json')) return noAnswer('an answer that is not whole')
    return { ...noAnswer(`a page of ${type || 'no type'}`), fault: 'refused' }
  }
  const { code, detail } = (body ?? {}) as { code?: unknown; detail?: unknown }
  const isOurs = type.includes('problem+json') && typeof code === 'string'
  return {
    ok: false,
    status,
    code: isOurs ? String(code) : '',
    isOurs,
    ...refusal(status, isOurs, retryAfterMs(headers, isOurs)),
    reason: isOurs ? String(detail) : `${status} from something on the way`,
  }
}

function refusal(status: number, isOurs: boolean, retryAfterMs?: number): Omit<Failure, 'reason'> {
  if (isOurs && status === 401) return { fault: 'auth' }
  if (status === 429 || status === 503) return { fault: 'busy', retryAfterMs }
  // A gateway on the way that has no server behind it has refused nothing.
  return { fault: status >= 500 ? 'broken' : 'refused' }
}

/**
 * Milliseconds, at most ten minutes; RFC 9110 10.2.3 has seconds and a date. A box that asks for an hour may be gone in a
 * moment: it is asked again after half a minute.
 */
function retryAfterMs(headers: Headers, isOurs: boolean): number | undefined {
  const header = headers.get('retry-after') ?? ''
  const asked =
    Number(header) * 1_000 || Date.parse(header) - (Date.parse(headers.get('date') ?? '') || Date.now())
  return asked > 0 ? Math.min(asked, isOurs ? 600_000 : LONGEST_OF_A_BOX_MS) : undefined
}

/** JSON, or nothing if it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whether repeating the same request may mend it: the failure is the network's, the moment's or the token's. */
export function mayMend({ status, isOurs, code }: Answer & { ok: false }): boolean {
  if (status === 413 || status === 414) return false
  if (!isOurs) return true
  return status >= 500 || [401, 408, 425, 429].includes(status) || code === 'request_in_progress'
}
