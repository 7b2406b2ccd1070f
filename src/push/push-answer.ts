import type { PushOutcome } from './push.ts'

/** What a push service answered; of its body only the beginning. */
export type PushAnswer = { status: number; retryAfter: string | undefined; body: string }

const MAX_RETRY_AFTER_MS = 24 * 3_600_000
const MAX_REASON_LENGTH = 200

/** What an answer means (RFC 8030, 8292). A redirect is a refusal: followed, it would lead around the guard. */
export function toOutcome({ status, retryAfter, body }: PushAnswer): PushOutcome {
  if (status >= 200 && status < 300) return { type: 'accepted' }
  if (status === 404 || status === 410) return { type: 'gone' }
  if (status === 413) return { type: 'too_large' }
  if (status === 408 || status === 429 || status >= 500) {
    return { type: 'retry', afterMs: parseRetryAfter(retryAfter), reason: String(status) }
  }
  return { type: 'rejected', status, reason: toReason(body) }
}

/** `Retry-After` in ms, as seconds or a date (RFC 9110, 10.2.3), a day at most; nothing for what is neither. */
export function parseRetryAfter(header: string | undefined, now = Date.now()): number | undefined {
  if (header === undefined) return undefined
  const isDate = / GMT$/.test(header)
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : isDate ? Date.parse(header) - now : Number.NaN
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS)
}

/** For a log: services repeat tokens and addresses, which are secrets, and are longer than words. */
function toReason(body: string): string {
  const words = body
    .replaceAll(/\S{20,}/g, '…')
    .replaceAll(/\s+/g, ' ')
    .trim()
  return words.slice(0, MAX_REASON_LENGTH) || 'no reason given'
}
