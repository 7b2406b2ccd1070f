import { Column } from './column.ts'
import type { Names } from './names.ts'

export type Transport = 'sse' | 'octet' | 'slice' | 'long-poll' | 'poll'

/** One request for events: a stream or a poll, from its sending to its end. */
export type Connection = {
  transport: Transport
  node: number
  /** When it was sent, was first answered, was last heard of, ended; ms. `openedAt` is NaN if it never was answered. */
  sentAt: number
  openedAt: number
  heardAt: number
  endedAt: number
  /** `broken`: reset or ended without a word; `silent`: given up by the watchdog; `refused`: answered otherwise. */
  /** Whether the device stopped reading its socket for a while. */
  isSlow: boolean
  end: 'open' | 'hopped' | 'answered' | 'bye' | 'broken' | 'silent' | 'refused'
}

/** An event as a device saw it. What an event is not about is -1 or ''. */
export type SeenEvent = {
  id: number
  type: string
  conversation: string
  seq: number
  /** Number of the message's text. */
  text: number
  /** Whom a member event is about, or who sent a message. */
  user: string
  at: number
  connection: number
}

export type ResetRecord = { at: number; reason: string; cursor: string }

/** Everything that one device saw, in the order in which it saw it. */
export class DeviceLog {
  readonly user: string
  readonly name: string
  readonly connections: Connection[] = []
  readonly resets: ResetRecord[] = []
  readonly #names: Names
  readonly #ids = Column.ofIntegers()
  readonly #types = Column.ofIntegers()
  readonly #conversations = Column.ofIntegers()
  readonly #seqs = Column.ofIntegers()
  readonly #texts = Column.ofIntegers()
  readonly #users = Column.ofIntegers()
  readonly #times = Column.ofTimes()
  readonly #via = Column.ofIntegers()

  constructor(user: string, name: string, names: Names) {
    this.user = user
    this.name = name
    this.#names = names
  }

  get length(): number {
    return this.#ids.length
  }

  add(event: Omit<SeenEvent, 'connection'>): void {
    this.#ids.push(event.id)
    this.#types.push(this.#names.number(event.type))
    this.#conversations.push(this.#names.number(event.conversation))
    this.#seqs.push(event.seq)
    this.#texts.push(event.text)
    this.#users.push(this.#names.number(event.user))
    this.#times.push(event.at)
    this.#via.push(this.connections.length - 1)
  }

  at(index: number): SeenEvent {
    return {
      id: this.#ids.at(index),
      type: this.#names.name(this.#types.at(index)),
      conversation: this.#names.name(this.#conversations.at(index)),
      seq: this.#seqs.at(index),
      text: this.#texts.at(index),
      user: this.#names.name(this.#users.at(index)),
      at: this.#times.at(index),
      connection: this.#via.at(index),
    }
  }

  /** Id of the last event; 0 if there was none. */
  get head(): number {
    return this.length === 0 ? 0 : this.#ids.at(this.length - 1)
  }

  idAt(index: number): number {
    return this.#ids.at(index)
  }

  *[Symbol.iterator](): Generator<SeenEvent> {
    for (let index = 0; index < this.length; index += 1) yield this.at(index)
  }
}
