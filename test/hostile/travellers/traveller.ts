import type { Box, Origin } from '../box.ts'

/** A text that arrived, and when (`performance.now()`). */
export type Arrival = { text: string; at: number }

/** Something that chats through a box: its near end is behind it, its far end beside the server. For one journey. */
export interface Traveller extends AsyncDisposable {
  readonly name: string
  /** The server that the box has to stand before. */
  readonly origin: Origin
  /** Resolves when the near end is connected, as far as it can tell, or has tried for a few seconds. */
  start(box: Box): Promise<Journey>
}

/** One trip of a traveller: what is said at one end should arrive once at the other, in order. */
export interface Journey {
  /** When its near end began to connect, if that was later than the start: a browser gets its page first. */
  readonly begun?: number
  /** What the near end got. */
  readonly received: readonly Arrival[]
  /** What the near end sent and the far end got. */
  readonly sent: readonly Arrival[]
  /** The transport it uses just now, in its own words; `undefined` if it has only one. */
  readonly rung: string | undefined
  /** Says a text at the far end. Rejects if the server does not take it. */
  say(text: string): Promise<void>
  /** Sends a text from the near end; it may arrive much later, or with some travellers never. */
  send(text: string): void
  stop(): Promise<void>
}

/** Makes a traveller; the origin is the gateway's, for those who chat with it. */
export type MakeTraveller = (gateway: Origin) => Promise<Traveller>
