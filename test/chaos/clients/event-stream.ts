import { type IncomingMessage, request } from 'node:http'
import type { Connection } from '../history/device-log.ts'
import { type Frame, FrameCutter } from './frames.ts'
import type { InboxReader } from './inbox-reader.ts'

/** What the server is asked to say something after; s. */
export const HEARTBEAT_S = 5
/** A stream that is silent for two heartbeats and a bit is dead, whatever the network says. */
const WATCHDOG_MS = 2 * HEARTBEAT_S * 1_000 + 1_500
/** The first frame comes at once. */
const OPENING_MS = 4_000

/** One event stream, from its request to its end. */
export class EventStream {
  /** Resolves with the answer's status when it is over; 0 if there was none. */
  readonly ended: Promise<number>
  /** Resolves with its first frame. */
  readonly opened: Promise<void>
  readonly #connection: Connection
  readonly #reader: InboxReader
  readonly #outgoing
  #response: IncomingMessage | undefined
  #watchdog: NodeJS.Timeout
  #settle: (status: number) => void
  #hasOpened: () => void

  constructor(reader: InboxReader, connection: Connection, url: string, token: string) {
    this.#reader = reader
    this.#connection = connection
    const { promise, resolve } = Promise.withResolvers<number>()
    this.ended = promise
    this.#settle = resolve
    const opening = Promise.withResolvers<void>()
    this.opened = opening.promise
    this.#hasOpened = opening.resolve
    this.#watchdog = setTimeout(() => this.end('silent'), OPENING_MS)
    const headers = {
      authorization: `Bearer ${token}`,
      ...(reader.cursor !== '' && { 'last-event-id': reader.cursor }),
    }
    this.#outgoing = request(url, { headers, agent: false }, (response) => this.#open(response))
    this.#outgoing.on('error', () => this.end('broken'))
    this.#outgoing.end()
  }

  /** Stops taking bytes from the socket, as a device does that sleeps. */
  stopReading(): void {
    this.#connection.isSlow = true
    this.#response?.pause()
    clearTimeout(this.#watchdog)
  }

  readOn(): void {
    if (this.#connection.end !== 'open') return
    this.#watch()
    this.#response?.resume()
  }

  end(why: Connection['end']): void {
    clearTimeout(this.#watchdog)
    this.#reader.end(this.#connection, why)
    this.#outgoing.destroy()
    this.#settle(this.#response?.statusCode ?? 0)
  }

  #open(response: IncomingMessage): void {
    this.#response = response
    if (response.statusCode !== 200) {
      response.resume()
      this.end('refused')
      return
    }
    const cutter = new FrameCutter()
    response.setEncoding('utf8')
    response.on('data', (text: string) => {
      if (this.#connection.end !== 'open') return
      this.#watch()
      for (const frame of cutter.cut(text)) this.#take(frame)
    })
    const isSlice = this.#connection.transport === 'slice'
    response.on('end', () => this.end(isSlice && response.complete ? 'answered' : 'broken'))
    response.on('error', () => this.end('broken'))
    response.on('close', () => this.end('broken'))
  }

  #take(frame: Frame): void {
    if (Number.isNaN(this.#connection.openedAt) && frame.event !== 'bye') {
      this.#connection.openedAt = performance.now()
      this.#hasOpened()
    }
    if (this.#reader.takeFrame(frame)) this.end('bye')
  }

  #watch(): void {
    this.#connection.heardAt = performance.now()
    clearTimeout(this.#watchdog)
    this.#watchdog = setTimeout(() => this.end('silent'), WATCHDOG_MS)
  }
}
