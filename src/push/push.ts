import type { PushPayload } from '../protocol/push-payload.ts'
import type { PushTarget } from '../store/pushes.ts'

export type { PushPayload, PushTarget }

/** What became of one push at its push service. */
export type PushOutcome =
  | { type: 'accepted' }
  /** 404, 410: the subscription has ended. */
  | { type: 'gone' }
  /** 429, 5xx, a time-out, a refused connection. `afterMs`: as `Retry-After` said. */
  | { type: 'retry'; afterMs: number | undefined; reason: string }
  /** 413. */
  | { type: 'too_large' }
  /** 401 and 403, which are about our keys, and what else a 4xx may be. */
  | { type: 'rejected'; status: number; reason: string }

/** RFC 8030: pushes of one `topic` replace each other at the push service; it keeps them for `ttlSeconds`. */
export type PushOptions = {
  topic: string | undefined
  urgency: 'high' | 'normal' | 'low'
  ttlSeconds: number
}

/** Hands one push to the push service of its target. Never rejects for what the service does. */
export type SendPush = (
  target: PushTarget,
  payload: PushPayload,
  options: PushOptions,
  signal: AbortSignal,
) => Promise<PushOutcome>
