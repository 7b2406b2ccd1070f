import { Seldom } from '../seldom.ts'
import type { DuePush, PushView, Tries } from '../store/pushes.ts'
import { Line } from './line.ts'
import type { PushMetrics } from './metrics.ts'
import { optionsOf, payloadOf, shorten } from './payload.ts'
import type { PushOutcome, PushTarget, SendPush } from './push.ts'
import type { PushServices } from './services.ts'

/** A push and what it says now. */
export type Delivery = { push: DuePush; view: PushView }

/** Devices whose push service took it, those where it is of no use to try again, and those to be tried again. */
export type Delivered = { rung: string[]; refused: string[]; tries: Tries }

/** What was looked up may be taken for true until then (monotonic). `lines`: the devices of the person, by their ids. */
export type Look = { lines: Map<string, Line>; freshUntil: number; signal: AbortSignal }

type Given = {
  send: SendPush
  services: PushServices
  /** Whether texts are shown. */
  previews: boolean
  metrics: PushMetrics
  /** ms since 1970, the same on all nodes. */
  now(): number
  /** False if it was another subscription already. */
  unsubscribe(target: PushTarget): Promise<boolean>
  /** A push service refuses our keys: nobody there is woken until an operator mends that. `isKnown`: it is no stranger. */
  onAlarm(service: string, reason: string, isKnown: boolean): void
  onError(error: unknown): void
}

/** 'again': after so many ms; not 'tried' where it did not come to that. */
type Result = { type: 'rung' | 'refused' } | { type: 'again'; ms: number; tried: boolean }

const FIRST_AGAIN_MS = 1_000
const MAX_AGAIN_MS = 3_600_000
const DAY_MS = 86_400_000
/** What is tried again this much too early is no matter. */
const EARLY_MS = 50
/** What fails here for one fails for thousands: of each kind, and of so many of them, one is told of in a minute. */
const TELL_EVERY_MS = 60_000
const MAX_TOLD = 16

/** Sends pushes to all browsers of a person that are still to get them. */
export class Deliveries {
  readonly #given: Given
  readonly #told = new Seldom(TELL_EVERY_MS, MAX_TOLD)

  constructor(given: Given) {
    this.#given = given
  }

  /**
   * To all its devices at once; to each behind what was handed over before, so that pushes arrive in order. What could
   * not begin soon, or would go before one that is to be tried again, be it in another turn, is put off.
   */
  async deliver(delivery: Delivery, look: Look): Promise<Delivered> {
    const delivered: Delivered = { rung: [], refused: [], tries: Object.create(null) }
    const { lines } = look
    const toEach = targetsOf(delivery.push).map((target) => {
      const line = lines.get(target.device_id) ?? new Line()
      lines.set(target.device_id, line)
      return this.#deliverTo(target, line, delivery, delivered, look)
    })
    await Promise.all(toEach)
    return delivered
  }

  async #deliverTo(target: PushTarget, line: Line, delivery: Delivery, delivered: Delivered, look: Look) {
    const { now } = this.#given
    const device = target.device_id
    const { tries, held } = delivery.push
    const { attempts, at } = ownOf(tries, device) ?? { attempts: 0, at: 0 }
    const heldUntil = ownOf(held, device) ?? 0
    // What was never tried waited for something older, or for its service: both are asked now.
    const notBefore = attempts > 0 ? Math.max(at, heldUntil) : heldUntil
    if (heldUntil > 0 || notBefore > now() + EARLY_MS) {
      delivered.tries[device] = { attempts, at: notBefore }
      return
    }
    const result = await line.next(async () => {
      // One before it is to be tried again: this one not before that.
      if (line.heldUntil > now() + EARLY_MS) return notTried(0)
      const result = await this.#try(target, delivery, attempts, look)
      if (result.type === 'again') line.heldUntil = now() + Math.ceil(result.ms)
      return result
    })
    if (result.type === 'again') {
      delivered.tries[device] = { attempts: attempts + Number(result.tried), at: line.heldUntil }
    } else delivered[result.type].push(device)
  }

  async #try(target: PushTarget, delivery: Delivery, attempts: number, look: Look): Promise<Result> {
    const { services, metrics } = this.#given
    const { freshUntil, signal } = look
    if (signal.aborted) return notTried(FIRST_AGAIN_MS)
    if (performance.now() > freshUntil) return notTried(0)
    const place = await services.enter(target.endpoint)
    if ('afterMs' in place) {
      metrics.deferred += 1
      return notTried(place.afterMs)
    }
    using _ = place
    if (performance.now() > freshUntil) return notTried(0)
    const outcome = await this.#send(target, delivery, signal)
    if (outcome.type === 'retry' && signal.aborted) return notTried(FIRST_AGAIN_MS)
    if (outcome.type === 'retry') place.failed(outcome.afterMs)
    else if (outcome.type === 'accepted') place.accepted()
    else place.refused()
    return this.#judge(outcome, target, attempts)
  }

  /** What is too large is sent again shorter. */
  async #send(target: PushTarget, { push, view }: Delivery, signal: AbortSignal): Promise<PushOutcome> {
    const options = optionsOf(push, view)
    let payload = payloadOf(push, view, this.#given.previews)
    for (;;) {
      const outcome = await this.#given.send(target, payload, options, signal).catch(this.#failed)
      const shorter = outcome.type === 'too_large' ? shorten(payload) : undefined
      if (!shorter || signal.aborted) return outcome
      payload = shorter
    }
  }

  /** No push service did that. */
  readonly #failed = (error: unknown): PushOutcome => {
    if (this.#told.admits(String(error))) this.#given.onError(error)
    return { type: 'retry', afterMs: undefined, reason: 'failed here' }
  }

  async #judge(outcome: PushOutcome, target: PushTarget, attempts: number): Promise<Result> {
    const { services, metrics, onAlarm } = this.#given
    switch (outcome.type) {
      case 'accepted':
        metrics.accepted += 1
        return { type: 'rung' }
      case 'gone':
        metrics.gone += 1
        return (await this.#given.unsubscribe(target)) ? { type: 'refused' } : notTried(0)
      case 'retry':
        metrics.retried += 1
        return { type: 'again', ms: backoff(attempts, outcome.afterMs), tried: true }
      case 'too_large':
        metrics.rejected += 1
        return { type: 'refused' }
      case 'rejected':
        metrics.rejected += 1
        if (outcome.status !== 401 && outcome.status !== 403) return { type: 'refused' }
        metrics.unauthorized += 1
        onAlarm(originOf(target), outcome.reason, services.isKnown(target.endpoint))
        return { type: 'again', ms: backoff(attempts), tried: true }
    }
  }
}

/** From 1 s to 1 h, up to half as long again, and not before the service said: one that says "at once" is not believed. */
function backoff(attempts: number, afterMs = 0): number {
  const ms = FIRST_AGAIN_MS * 2 ** Math.min(attempts, 12) * (1 + Math.random() / 2)
  return Math.min(Math.max(Math.min(ms, MAX_AGAIN_MS), afterMs), DAY_MS)
}

/** Ids of devices may be words that every object knows. */
function ownOf<T>(record: Record<string, T>, id: string): T | undefined {
  return Object.hasOwn(record, id) ? record[id] : undefined
}

function notTried(ms: number): Result {
  return { type: 'again', ms, tried: false }
}

function originOf({ endpoint }: PushTarget): string {
  return URL.parse(endpoint)?.origin ?? ''
}

/** Only who was rung needs their notification taken back, where the browser lets one do that unseen. */
function targetsOf({ targets, rung, refused, withdrawing }: DuePush): PushTarget[] {
  return targets.filter(({ device_id, silent }) => {
    if (refused.includes(device_id)) return false
    return withdrawing ? silent && rung.includes(device_id) : !rung.includes(device_id)
  })
}
