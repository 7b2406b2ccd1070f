import { deserialize, serialize } from 'node:v8'
import { Gatherer } from '../gatherer.ts'
import type { Announcement } from '../protocol/event.ts'
import type { Passing } from '../protocol/passing.ts'
import type { Bus, Listener, Subscription } from './bus.ts'
import { LocalBus } from './local-bus.ts'

/** What workers of one machine tell each other, by way of their primary: announcements of one tick, or what passes. */
export type Told =
  | { kind: 'hints'; data: Uint8Array }
  | { kind: 'passing'; data: Uint8Array }
  | { kind: 'broadcast'; topic: string; text: string }

/** Hands a message to another process; calls `sent` when it has left this one, or never will. */
export type Send = (message: Told, sent: () => void) => void

/** Bytes on their way to one process; it takes them in milliseconds unless it is stopped or swamped. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024

/** The way to a process that may be slow to take: what goes over the bound is dropped, and found by its head check. */
export class Outlet {
  readonly #send: Send
  #waiting = 0

  constructor(send: Send) {
    this.#send = send
  }

  /** Sends, or drops where too much is waiting already. */
  tell(message: Told): void {
    const bytes = message.kind === 'broadcast' ? message.text.length * 2 : message.data.byteLength
    if (this.#waiting + bytes > MAX_WAITING_BYTES) return
    this.#waiting += bytes
    this.#send(message, () => {
      this.#waiting -= bytes
    })
  }
}

/**
 * The bus of the workers of one machine. What a worker announces reaches its own readers at once and goes to the primary,
 * collected per tick; the primary passes it on to all others, which know whom they serve: subscribing costs nothing.
 */
export class WorkerBus implements Bus {
  /** The primary is the parent: without it there is no worker either. */
  readonly isUp = true
  readonly #local = new LocalBus()
  readonly #outlet: Outlet
  readonly #onBroadcast = new Map<string, (text: string) => void>()
  readonly #announced = new Gatherer<Announcement>((announcements) => {
    // Bytes, since the primary passes them on as they are: it neither reads nor writes events.
    this.#outlet.tell({ kind: 'hints', data: serialize(announcements) })
  })

  /** `send` is the way to the primary; what comes from there is given to `hear`. */
  constructor(send: Send) {
    this.#outlet = new Outlet(send)
  }

  onChange(): void {}

  announce(announcement: Announcement): void {
    this.#local.announce(announcement)
    this.#announced.add(announcement)
  }

  pass(passing: Passing): void {
    this.#local.pass(passing)
    this.#outlet.tell({ kind: 'passing', data: serialize(passing) })
  }

  subscribe(userId: string, listener: Listener): Promise<Subscription> {
    return this.#local.subscribe(userId, listener)
  }

  broadcast(topic: string, text: string): void {
    this.#outlet.tell({ kind: 'broadcast', topic, text })
  }

  onBroadcast(topic: string, listener: (text: string) => void): void {
    this.#onBroadcast.set(topic, listener)
  }

  /** What another worker told. */
  hear(message: Told): void {
    if (message.kind === 'broadcast') this.#onBroadcast.get(message.topic)?.(message.text)
    else if (message.kind === 'passing') this.#local.pass(deserialize(message.data))
    else for (const announcement of deserialize(message.data)) this.#local.announce(announcement)
  }
}
