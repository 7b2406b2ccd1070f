import type { Feed, Sink } from '../live/feed.ts'
import { MAX_ANSWER_BYTES, PASSING_WAIT_MS } from '../protocol/constants.ts'
import { formatCursor, type Opening } from '../protocol/cursor.ts'
import { eventJson, type LogEvent } from '../protocol/event.ts'
import { type PassingEvent, passingKey } from '../protocol/passing.ts'
import { Problem } from '../protocol/problems.ts'
import type { ResetReason } from '../protocol/types.ts'
import type { Delivery } from './delivery.ts'

export type PollOptions = {
  limit: number
  /** 0 for a plain poll. */
  waitMs: number
  /** Takes what ends the poll early, for when the caller goes away. */
  onOpen(drain: () => void): void
}

/** More passing events than a person can look at are not kept for one answer. */
const MAX_PASSING = 100
/** What surrounds the events in a poll's answer. */
const ENVELOPE_BYTES = 256

/**
 * One poll, long or not: the whole body of its answer, ready before a byte of it is written.
 * Throws Problem signed_out, and what reading the log throws.
 */
export function poll(feed: Feed, delivery: Delivery, options: PollOptions): Promise<string> {
  const { opening } = feed
  if (opening.reset) {
    feed[Symbol.dispose]()
    return Promise.resolve(resetAnswer(opening.reset, opening))
  }
  return new Promise((resolve, reject) => {
    const sink = new PollSink(feed, options, (outcome) => {
      delivery.polls.delete(sink)
      feed[Symbol.dispose]()
      if (typeof outcome === 'string') resolve(outcome)
      else reject(outcome)
    })
    delivery.polls.add(sink)
    options.onOpen(() => sink.drain())
    feed.deliver(sink, options.limit)
  })
}

class PollSink implements Sink {
  readonly #feed: Feed
  readonly #options: PollOptions
  readonly #done: (outcome: string | Error) => void
  readonly #events: string[] = []
  /** The newest of each kind. */
  readonly #passing = new Map<string, string>()
  #liveSince = 0
  #passingTimer: NodeJS.Timeout | undefined
  #bytes = ENVELOPE_BYTES
  #position: number
  #isFull = false
  #isDone = false
  #timer: NodeJS.Timeout | undefined

  constructor(feed: Feed, options: PollOptions, done: (outcome: string | Error) => void) {
    this.#feed = feed
    this.#options = options
    this.#done = done
    this.#position = feed.opening.after
  }

  push(event: LogEvent): void {
    const json = eventJson(event)
    this.#bytes += Buffer.byteLength(json) + 1
    if (this.#isFull || (this.#events.length > 0 && this.#bytes > MAX_ANSWER_BYTES)) {
      this.#isFull = true
      this.#finish()
      return
    }
    this.#events.push(json)
    this.#position = event.id
    if (this.#events.length >= this.#options.limit) this.#finish()
    // What is committed in the same tick leaves in the same answer.
    else if (this.#feed.isLive && this.#events.length === 1) setImmediate(() => this.#finish())
  }

  /** Ends the poll only once it has waited a little: else somebody who types would make it a storm of requests. */
  pass(event: PassingEvent): void {
    const key = passingKey(event)
    if (this.#passing.size >= MAX_PASSING && !this.#passing.has(key)) return
    this.#passing.delete(key)
    this.#passing.set(key, event.json)
    const left = this.#liveSince + PASSING_WAIT_MS - performance.now()
    this.#passingTimer ??= setTimeout(() => this.#finish(), Math.max(left, 0))
  }

  room(): undefined {
    return undefined
  }

  live(): void {
    this.#liveSince = performance.now()
    if (this.#events.length > 0 || this.#options.waitMs === 0) this.#finish()
    else this.#timer = setTimeout(() => this.#finish(), this.#options.waitMs)
  }

  reset(reason: ResetReason, opening: Opening): void {
    this.#settle(resetAnswer(reason, opening))
  }

  signedOut(): void {
    this.#settle(new Problem('signed_out', 'This device was signed out. Sign in again.'))
  }

  failed(error: unknown): void {
    this.#settle(error instanceof Error ? error : new Error('the log could not be read', { cause: error }))
  }

  drain(): void {
    this.#finish()
  }

  #finish(): void {
    const { epoch, head } = this.#feed
    const cursor = formatCursor({ epoch, id: this.#position })
    const hasMore = this.#isFull || this.#position < head
    const events = [...this.#events, ...this.#passingThatFit()].join(',')
    this.#settle(`{"cursor":"${cursor}","events":[${events}],"has_more":${hasMore}}`)
  }

  #passingThatFit(): string[] {
    if (this.#isFull) return []
    return [...this.#passing.values()].filter((json) => {
      this.#bytes += Buffer.byteLength(json) + 1
      return this.#bytes <= MAX_ANSWER_BYTES
    })
  }

  #settle(outcome: string | Error): void {
    if (this.#isDone) return
    this.#isDone = true
    clearTimeout(this.#timer)
    clearTimeout(this.#passingTimer)
    this.#done(outcome)
  }
}

function resetAnswer(reset: ResetReason, { epoch, after }: Opening): string {
  return JSON.stringify({ reset, cursor: formatCursor({ epoch, id: after }), events: [], has_more: false })
}
