import { backoff } from './backoff.ts'
import type { AnnouncementEvent, InboxEvent, PassingWireEvent, WireEvent } from './inbox-event.ts'

/** The server says something every 15 s; after this much silence the connection is dead, whatever the browser thinks. */
const SILENCE_MS = 35_000

export type StreamState = 'connecting' | 'live' | 'reconnecting'

type Handlers = {
  /** Each event of the inbox once, in order. */
  onEvent(event: InboxEvent | AnnouncementEvent): void
  /** What is in no log. */
  onPassing(event: PassingWireEvent): void
  /** The server has said something, be it a heartbeat; all up to `cursor` has been applied. */
  onHeard(cursor: string): void
  /** The cursor cannot be honoured: load everything anew. */
  onReset(): void
  onState(state: StreamState): void
  /** The browser gave up, as it does for any answer but 200: find out whether the session has ended. */
  onRefused(): void
}

/** The inbox as a native `EventSource`, opened again from the last cursor whenever the browser does not do so itself. */
export class Stream {
  readonly #handlers: Handlers
  #source: EventSource | undefined
  #cursor = ''
  #lastId = 0
  #failures = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(handlers: Handlers) {
    this.#handlers = handlers
  }

  /** Reads on behind `cursor`. */
  open(cursor: string): void {
    this.#cursor = cursor
    this.#lastId = 0
    this.#connect()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#source?.close()
    this.#source = undefined
  }

  /** The network is back: do not wait for a timer. */
  hurry(): void {
    if (this.#cursor !== '' && this.#source?.readyState !== EventSource.OPEN) this.#connect()
  }

  #connect(): void {
    this.close()
    const source = new EventSource(`/v1/events?as=sse&after=${encodeURIComponent(this.#cursor)}`)
    this.#source = source
    source.addEventListener('hello', (event) => {
      this.#failures = 0
      this.#heard(event)
      this.#handlers.onState('live')
    })
    source.addEventListener('heartbeat', (event) => this.#heard(event))
    source.addEventListener('bye', (event) => this.#heard(event))
    source.addEventListener('reset', () => {
      this.close()
      this.#handlers.onReset()
    })
    source.addEventListener('message', (event) => this.#receive(event))
    source.addEventListener('error', () => this.#lost(source))
    this.#watch()
  }

  #receive(message: MessageEvent<string>): void {
    const event = JSON.parse(message.data) as WireEvent
    if (event.id === null) this.#handlers.onPassing(event)
    else if (event.id > this.#lastId) {
      this.#lastId = event.id
      this.#handlers.onEvent(event)
    }
    this.#heard(message)
  }

  #heard({ lastEventId }: MessageEvent): void {
    if (lastEventId !== '') this.#cursor = lastEventId
    this.#watch()
    this.#handlers.onHeard(this.#cursor)
  }

  #watch(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#handlers.onState('reconnecting')
      this.#connect()
    }, SILENCE_MS)
  }

  #lost(source: EventSource): void {
    this.#handlers.onState('reconnecting')
    // While it is CONNECTING the browser comes back by itself, with Last-Event-ID.
    if (source.readyState !== EventSource.CLOSED) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#connect(), backoff(this.#failures + 1))
    this.#failures += 1
    this.#handlers.onRefused()
  }
}
