import { Agent } from 'undici'
import webPush from 'web-push'
import { Deadline } from './deadline.ts'
import { type EndpointGuard, EndpointRefused } from './endpoint-guard.ts'
import { type PushRequest, post } from './post.ts'
import type { PushOptions, PushOutcome, PushPayload, PushTarget, SendPush } from './push.ts'
import { toOutcome } from './push-answer.ts'
import type { VapidSigner } from './vapid.ts'

/** Push services have to take 4,096 bytes (RFC 8030, 7.2); room is left for those that do not. */
const MAX_ENCRYPTED_BYTES = 3_072
/** From resolving the name to the end of the answer. */
const ANSWERED_WITHIN_MS = 10_000
/** Connections that nobody uses are closed after so long. */
const IDLE_MS = 60_000

/** Encrypts pushes (RFC 8291), signs them (RFC 8292) and hands them to push services (RFC 8030). */
export class PushSender implements Disposable {
  readonly #signer: VapidSigner
  readonly #guard: EndpointGuard
  readonly #withinMs: number
  /** Its connections are kept per origin; each is to an address that was checked when it was made. */
  readonly #agent: Agent

  constructor(signer: VapidSigner, guard: EndpointGuard, withinMs = ANSWERED_WITHIN_MS) {
    this.#signer = signer
    this.#guard = guard
    this.#withinMs = withinMs
    this.#agent = new Agent({
      keepAliveTimeout: IDLE_MS,
      connect: { lookup: guard.lookup, timeout: withinMs },
    })
  }

  /**
   * Sends one push. `too_large` also where it is known before sending; `rejected` with status 0 where the endpoint is
   * refused here; `retry` where `signal` ends it. No outcome tells more of an endpoint than why it is refused.
   */
  readonly send: SendPush = async (target, payload, options, signal) => {
    try {
      const request = this.#seal(this.#guard.parse(target.endpoint), target, payload, options)
      if (request.body.length > MAX_ENCRYPTED_BYTES) return { type: 'too_large' }
      return await this.#post(request, signal)
    } catch (error) {
      if (!(error instanceof EndpointRefused)) throw error
      return { type: 'rejected', status: 0, reason: `the endpoint ${error.message}` }
    }
  };

  [Symbol.dispose](): void {
    void this.#agent.destroy()
  }

  async #post(request: PushRequest, signal: AbortSignal): Promise<PushOutcome> {
    using deadline = new Deadline(signal, this.#withinMs)
    try {
      return toOutcome(await post(request, this.#agent, deadline.signal))
    } catch (error) {
      if (error instanceof EndpointRefused) throw error
      const { code = 'unknown' } = error as NodeJS.ErrnoException
      const stopped = signal.aborted ? 'given up' : 'no answer in time'
      return { type: 'retry', afterMs: undefined, reason: deadline.signal.aborted ? stopped : code }
    }
  }

  #seal(url: URL, { p256dh, auth }: PushTarget, payload: PushPayload, options: PushOptions): PushRequest {
    // The library only wants to see an endpoint; one that it does not know is in none of its errors.
    const subscription = { endpoint: url.origin, keys: { p256dh, auth } }
    const { headers, body } = webPush.generateRequestDetails(subscription, JSON.stringify(payload), {
      TTL: options.ttlSeconds,
      urgency: options.urgency,
      ...(options.topic !== undefined && { topic: options.topic }),
      headers: { Authorization: this.#signer.authorization(url.origin) },
    })
    const numbers = { TTL: String(options.ttlSeconds), 'Content-Length': String(body.length) }
    return { url, headers: { ...headers, ...numbers }, body }
  }
}
