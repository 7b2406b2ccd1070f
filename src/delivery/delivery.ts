import { Flusher } from './flusher.ts'
import { Pulse } from './pulse.ts'

/** An open stream or a parked poll. */
export type Delivering = {
  /** Ends it kindly, since this node is going away. */
  drain(): void
}

/** What all deliveries of a node share. */
export class Delivery implements Disposable {
  /** This node's name on the wire. */
  readonly node: string
  /** ms since 1970, the same on all nodes. */
  readonly now: () => number
  readonly pulse = new Pulse()
  readonly flusher = new Flusher()
  readonly streams = new Set<Delivering>()
  readonly polls = new Set<Delivering>()
  #draining = false
  #ending = false

  constructor(node: string, now: () => number) {
    this.node = node
    this.now = now
  }

  /** Open streams and parked polls. */
  get load(): number {
    return this.streams.size + this.polls.size
  }

  get isDraining(): boolean {
    return this.#draining
  }

  /** Whether streams are being told to go. */
  get isEnding(): boolean {
    return this.#ending
  }

  /** From here on polls do not wait and nobody is asked to stay. */
  stopAccepting(): void {
    this.#draining = true
  }

  /** Ends polls with what they have and each stream with a `bye`, spread over `overMs` so that nobody is stormed. */
  drain(overMs: number): void {
    this.stopAccepting()
    this.#ending = true
    for (const poll of this.polls) poll.drain()
    for (const stream of this.streams) setTimeout(() => stream.drain(), Math.random() * overMs)
  }

  [Symbol.dispose](): void {
    this.pulse[Symbol.dispose]()
  }
}
