import type { ServerResponse } from 'node:http'
import type { Feed, Sink } from '../live/feed.ts'
import { RETRY_MS } from '../protocol/constants.ts'
import { formatCursor, type Opening } from '../protocol/cursor.ts'
import type { LogEvent } from '../protocol/event.ts'
import type { PassingEvent } from '../protocol/passing.ts'
import type { ByeReason, ResetReason } from '../protocol/types.ts'
import type { Delivery } from './delivery.ts'
import {
  byeFrame,
  eventFrame,
  heartbeatFrame,
  helloFrame,
  paddingFrame,
  passingFrame,
  resetFrame,
} from './frames.ts'
import { Slice } from './slice.ts'

export type StreamOptions = {
  contentType: 'text/event-stream' | 'application/octet-stream'
  heartbeatMs: number
  padding: number
  /** Ends the stream after so many log events: a slice, for proxies that release a response only at its end. */
  limit?: number | undefined
  /** When the stream ends by itself (ms, monotonic), and why. */
  deadline: { at: number; reason: ByeReason }
}

/** What one response buffers before its reader falls back to the log (UTF-16 units here, bytes in the response) … */
export const STREAM_BUFFER_BYTES = 64 * 1024
/** … and is ended if it has not taken that after so long: enough for a link of 5 KB/s. */
const MAX_STALL_MS = 15_000
/** What a peer that does not read has to take the `bye`. */
const END_GRACE_MS = 2_000

/** Headers of every stream, also of one that only says `bye`. Own headers: no middleware may touch this answer later. */
function writeStreamHead(response: ServerResponse, contentType: StreamOptions['contentType']): void {
  response.writeHead(200, {
    'content-type': contentType,
    // haproxy runs an event behind without no-transform; nginx holds streams back without the second;
    // the third keeps gzipping proxies off.
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
    'content-encoding': 'identity',
  })
}

/** A stream that cannot be served just now: a 200, since any other answer closes an EventSource for good. */
export function sayBye(
  response: ServerResponse,
  contentType: StreamOptions['contentType'],
  reason: ByeReason,
  retryMs = jittered(RETRY_MS),
): void {
  writeStreamHead(response, contentType)
  response.end(byeFrame(reason, retryMs))
}

/** Server-Sent Events over one response: frames collected per tick, back-pressure counted in bytes. */
export class SseStream implements Sink {
  readonly #response: ServerResponse
  readonly #feed: Feed
  readonly #delivery: Delivery
  readonly #options: StreamOptions
  #cursorPrefix: string
  #out = ''
  #isDirty = false
  /** The response's buffer is full, until it says 'drain'. */
  #isBlocked = false
  #lastWrite = 0
  #pulseSlot = 0
  #slice: Slice | undefined
  #hasEnded = false

  constructor(response: ServerResponse, feed: Feed, delivery: Delivery, options: StreamOptions) {
    this.#response = response
    this.#feed = feed
    this.#delivery = delivery
    this.#options = options
    this.#cursorPrefix = `${feed.opening.epoch}-`
  }

  /** Sends head, `hello` and, as a write of its own, a first heartbeat; then what the feed has. */
  open(): void {
    const { opening } = this.#feed
    this.#delivery.streams.add(this)
    this.#response.on('close', () => this.#dispose())
    // Write errors arrive as 'close' too; without a listener they would end the process.
    this.#response.on('error', () => {})
    this.#response.on('drain', () => {
      this.#isBlocked = false
    })
    writeStreamHead(this.#response, this.#options.contentType)
    this.#out = paddingFrame(this.#options.padding) + this.#hello(opening)
    if (opening.reset) this.#out += resetFrame({ epoch: opening.epoch, id: opening.after }, opening.reset)
    this.flush()
    this.#pulseSlot = this.#delivery.pulse.schedule(this, this.#nextBeat())
    const { limit } = this.#options
    if (limit !== undefined) this.#slice = new Slice(limit, () => this.#finish(this.#out))
    setImmediate(() => {
      if (this.#hasEnded) return
      this.#out += this.#heartbeat()
      this.flush()
      // Whoever came while the others were told to go.
      if (this.#delivery.isEnding) this.end('draining')
      else this.#feed.deliver(this)
    })
  }

  push(event: LogEvent): void {
    const frame = eventFrame(this.#cursorPrefix, event)
    if (this.#slice) {
      const { fits, isFull } = this.#slice.take(frame)
      if (isFull) {
        this.#finish(this.#out + (fits ? frame : ''))
        return
      }
    }
    this.#out += frame
    this.#markDirty()
    if (this.#isBlocked || this.#out.length > STREAM_BUFFER_BYTES) this.#feed.fallBehind()
  }

  /** Whoever does not keep up misses it. */
  pass(event: PassingEvent): void {
    if (this.#isBlocked || this.#out.length > STREAM_BUFFER_BYTES) return
    const frame = passingFrame(event)
    if (this.#slice?.takePassing(frame) === false) return
    this.#out += frame
    this.#markDirty()
  }

  room(): Promise<void> | undefined {
    this.flush()
    if (!this.#isBlocked) return undefined
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer)
        this.#response.off('drain', settle).off('close', settle)
        resolve()
      }
      const timer = setTimeout(() => {
        this.end('slow_consumer')
        settle()
      }, MAX_STALL_MS)
      this.#response.on('drain', settle).on('close', settle)
    })
  }

  live(): void {}

  reset(reason: ResetReason, { epoch, after }: Opening): void {
    this.#cursorPrefix = `${epoch}-`
    this.#out += resetFrame({ epoch, id: after }, reason)
    this.#markDirty()
  }

  signedOut(): void {
    this.end('signed_out')
  }

  failed(): void {
    this.end('unavailable')
  }

  drain(): void {
    this.end('draining')
  }

  /** A heartbeat after enough silence; the end when it is due. */
  beat(now: number): void {
    if (this.#hasEnded) return
    if (now >= this.#options.deadline.at) {
      this.end(this.#options.deadline.reason)
      return
    }
    if (now - this.#lastWrite >= this.#options.heartbeatMs) {
      this.#out += this.#heartbeat()
      this.#markDirty()
      this.#lastWrite = now
    }
    this.#pulseSlot = this.#delivery.pulse.schedule(this, this.#nextBeat())
  }

  flush(): void {
    this.#isDirty = false
    if (this.#out === '' || this.#hasEnded) return
    if (!this.#response.write(this.#out)) this.#isBlocked = true
    this.#out = ''
    this.#lastWrite = performance.now()
  }

  /** Says why and ends. Never costs an event: the cursor brings the reader back to where it was. */
  end(reason: ByeReason): void {
    if (this.#hasEnded) return
    this.#finish(this.#out + byeFrame(reason, jittered(RETRY_MS)))
  }

  #finish(lastWords: string): void {
    const response = this.#response
    this.#dispose()
    response.end(lastWords)
    setTimeout(() => response.destroy(), END_GRACE_MS).unref()
  }

  #dispose(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#feed[Symbol.dispose]()
    this.#delivery.streams.delete(this)
    this.#delivery.pulse.cancel(this, this.#pulseSlot)
    this.#slice?.[Symbol.dispose]()
  }

  #hello({ epoch, head, after }: Opening): string {
    const fields = {
      cursor: formatCursor({ epoch, id: after }),
      head: formatCursor({ epoch, id: head }),
      heartbeat: this.#options.heartbeatMs / 1_000,
      node: this.#delivery.node,
      at: new Date(this.#delivery.now()).toISOString(),
    }
    return helloFrame(fields, RETRY_MS)
  }

  #heartbeat(): string {
    const { isLive, head, position } = this.#feed
    const cursor = `${this.#cursorPrefix}${isLive ? head : position}`
    return heartbeatFrame(cursor, new Date(this.#delivery.now()))
  }

  #nextBeat(): number {
    return Math.min(this.#lastWrite + this.#options.heartbeatMs, this.#options.deadline.at)
  }

  #markDirty(): void {
    if (this.#isDirty) return
    this.#isDirty = true
    this.#delivery.flusher.add(this)
  }
}

function jittered(ms: number): number {
  return Math.round(ms * (0.5 + Math.random()))
}
