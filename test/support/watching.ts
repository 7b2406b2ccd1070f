import { Person } from './person.ts'
import type { PassingEvent, Stream } from './stream.ts'
import { until } from './wait.ts'

type Presence = { user_id: string; status: 'online' | 'offline'; last_active_at: string | null }

/** Somebody who watches somebody else come and go, over the stream and by asking. */
export class Watcher implements Disposable {
  readonly person: Person
  readonly watched: string
  readonly #stream: Stream

  private constructor(person: Person, watched: string, stream: Stream) {
    this.person = person
    this.watched = watched
    this.#stream = stream
  }

  /** Signs somebody up at `base`, who shares a direct conversation with `watched` and has a live stream. */
  static async of(watched: Person, base: string): Promise<Watcher> {
    const person = await Person.signUp(base)
    await person.direct(watched)
    const stream = await person.stream('after=0')
    await until('a live stream', () => stream.events.length > 0)
    return new Watcher(person, watched.id, stream)
  }

  /** Every `presence.changed` so far of whom it watches. */
  get changes(): PassingEvent[] {
    return this.#stream.passing('presence.changed').filter(({ user_id }) => user_id === this.watched)
  }

  /** Texts of the messages so far. */
  get texts(): string[] {
    return this.#stream.texts()
  }

  /** What was told of somebody else. */
  others(userId: string): PassingEvent[] {
    return this.#stream.passing().filter(({ user_id }) => user_id === userId)
  }

  get statuses(): unknown[] {
    return this.changes.map(({ status }) => status)
  }

  /** Resolves when so many changes were told. */
  async waitForChanges(count: number, limitMs?: number): Promise<PassingEvent[]> {
    return until(`${count} changes`, () => this.changes.length >= count && this.changes, limitMs)
  }

  /** As `GET /v1/presence` says, on any node; `undefined` where it says nothing. */
  async ask(base = this.person.base): Promise<Presence | undefined> {
    const { body } = await this.person
      .at(base)
      .call<{ presence: Presence[] }>('GET', `/v1/presence?user_ids=${this.watched}`)
    return body.presence[0]
  }

  /** When whom it watches was last active; ms since 1970. */
  async lastActive(): Promise<number> {
    return Date.parse((await this.ask())?.last_active_at ?? '')
  }

  [Symbol.dispose](): void {
    this.#stream[Symbol.dispose]()
  }
}
