import { setTimeout as pause } from 'node:timers/promises'
import type { Person } from './person.ts'
import { openStream, type Stream } from './stream.ts'
import { until } from './wait.ts'

const RETRY_MS = 100

/** Follows an inbox as an `EventSource` does, but sooner: whenever its stream ends, on from the last cursor. */
export class Follower implements Disposable {
  /** How often it had to come back, and why the server said so. */
  comebacks = 0
  readonly byes: string[] = []
  /** The longest time without a stream, in ms. */
  longestGap = 0
  #cursor: string
  #past: { id: number; text: string | undefined }[] = []
  #stream: Stream | undefined
  #disposed = false

  /** Each attempt goes to the next of `bases`. */
  constructor(person: Person, cursor: string, bases: readonly string[]) {
    this.#cursor = cursor
    void this.#run(person, bases)
  }

  /** Inbox ids in the order of arrival. */
  ids(): number[] {
    return this.#read().map(({ id }) => id)
  }

  texts(): string[] {
    return this.#read().flatMap(({ text }) => text ?? [])
  }

  async waitForTexts(count: number): Promise<string[]> {
    return until(`${count} messages`, () => this.texts().length >= count && this.texts())
  }

  /** Resolves when it has a stream that has begun. */
  async waitForStream(): Promise<void> {
    await until('a stream', () => this.#stream?.named('heartbeat')[0])
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#stream?.[Symbol.dispose]()
  }

  #read() {
    return [...this.#past, ...eventsOf(this.#stream)]
  }

  async #run(person: Person, bases: readonly string[]): Promise<void> {
    let lost = performance.now()
    for (let attempt = 0; !this.#disposed; attempt += 1) {
      const base = bases[attempt % bases.length]
      const headers = { ...person.authorization, 'last-event-id': this.#cursor }
      const stream = await openStream(`${base}/v1/events?as=sse`, headers).catch(() => undefined)
      if (stream) {
        if (this.#disposed) stream[Symbol.dispose]()
        this.longestGap = Math.max(this.longestGap, performance.now() - lost)
        this.#stream = stream
        if (!stream.ended) await new Promise((resolve) => stream.response.once('close', resolve))
        this.#leave(stream)
        lost = performance.now()
      }
      await pause(RETRY_MS)
    }
  }

  #leave(stream: Stream): void {
    this.#past.push(...eventsOf(stream))
    this.#cursor = stream.lastEventId || this.#cursor
    this.byes.push(...stream.named('bye').map(({ data }) => JSON.parse(data).reason))
    this.#stream = undefined
    this.comebacks += 1
  }
}

function eventsOf(stream: Stream | undefined) {
  return (stream?.events ?? []).map(({ id, message }) => ({ id, text: message?.text }))
}
