import { pause } from '../pause.ts'
import { encodePassing, type PassingEvent } from '../protocol/passing.ts'
import type { PresenceState } from '../protocol/types.ts'
import type { Bus } from './bus.ts'

/** What others are told of somebody from `turned_at` on (ms since 1970). */
export type Turn = PresenceState & { turned_at: number }

/** A turn and who may know of it. */
type ToldTurn = Turn & { watchers: string[] }

/** Handed in, since live/ knows no SQL. Whoever turns somebody is the one to tell; the record tells those who missed it. */
export type TurnRecord = {
  /** `turned` by this call; `early` are those whose last turn is too fresh, to be tried again. */
  showArrived(userIds: readonly string[]): Promise<{ turned: Turn[]; early: string[] }>
  /** At most `limit` who are there no more. */
  hideGone(limit: number): Promise<Turn[]>
  /** Turns up to `settleMs` ago, some of them twice, and where to ask on from. */
  turnsFrom(
    from: number | undefined,
    settleMs: number,
    limit: number,
  ): Promise<{ turns: Turn[]; next: number }>
  /** Per person those who may see them come and go. */
  watchersOf(userIds: readonly string[]): Promise<Map<string, string[]>>
}

/** What this node serves. */
type Here = {
  /** Who reads a user's inbox here, if this node serves it. */
  reader(userId: string): { pass(event: PassingEvent): void } | undefined
  /** Nodes there are beside this one. */
  others(): number
}

const BATCH = 100
const MISSED_BATCH = 1_000
/** Characters of one broadcast, far below what a NATS server takes. */
const MAX_LENGTH = 256 * 1024
/** Time for whoever turned somebody to tell of it. */
const SETTLE_MS = 2_000
/** Longer than a turn that was told is found in the record. */
const NOTED_MS = 60_000
/** Fractions of a lease: looking for who has gone and what was missed; trying again those who came early … */
const LOOK = 1 / 16
const AGAIN = 1 / 40
/** … and after a time without Postgres nobody is taken for gone before all nodes could say again who is there. */
const GRACE = 1 / 4
/** Of many nodes each looks more seldom for those who have gone, down to a quarter of what one alone does. */
const MAX_SHARE = 4

/**
 * Tells watchers of those who come and go. A turn is written before it is told, and told by the one node that wrote it;
 * one lookup finds the watchers of a hundred people, and no more than half of one connection's time is spent on it.
 */
export class PresenceTurns implements Disposable {
  readonly #record: TurnRecord
  readonly #bus: Bus
  readonly #topic: string
  readonly #leaseMs: number
  readonly #here: Here
  readonly #onError: (error: unknown) => void
  readonly #closing = new AbortController()
  /** The last turn of each that was told here, the oldest first. */
  readonly #noted = new Map<string, { turned_at: number; at: number }>()
  #arrived = new Set<string>()
  #isShowing = false
  #missedFrom: number | undefined
  #hideFrom: number
  #hasFailed = false

  /** Of errors only the first of a row is told. */
  constructor(
    record: TurnRecord,
    { bus, deployment, leaseMs }: { bus: Bus; deployment: string; leaseMs: number },
    here: Here,
    onError: (error: unknown) => void,
  ) {
    this.#record = record
    this.#bus = bus
    this.#topic = `presence.${deployment}`
    this.#leaseMs = leaseMs
    this.#here = here
    this.#onError = onError
    this.#hideFrom = performance.now() + leaseMs * GRACE
    bus.onBroadcast(this.#topic, (text) => this.#hear(text))
    void this.#keepLooking()
  }

  /** Those who are there and believed to be away. */
  arrived(userIds: readonly string[]): void {
    for (const userId of userIds) this.#arrived.add(userId)
    if (!this.#isShowing) void this.#show()
  }

  [Symbol.dispose](): void {
    this.#closing.abort()
  }

  async #show(): Promise<void> {
    this.#isShowing = true
    while (this.#arrived.size > 0 && !this.#closing.signal.aborted) {
      const arrived = [...this.#arrived]
      this.#arrived = new Set(arrived.slice(BATCH))
      const batch = arrived.slice(0, BATCH)
      const early = await this.#sparingly(async () => {
        const shown = await this.#record.showArrived(batch)
        await this.#tell(shown.turned)
        return shown.early
      })
      const again = early ?? batch
      if (again.length > 0)
        void pause(this.#leaseMs * AGAIN, this.#closing.signal).then(() => this.arrived(again))
    }
    this.#isShowing = false
  }

  async #keepLooking(): Promise<void> {
    for (let turn = 0; !this.#closing.signal.aborted; turn += 1) {
      const share = Math.min(this.#here.others() + 1, MAX_SHARE)
      if (turn % share === 0) await this.#hide()
      await this.#sparingly(() => this.#catchUp())
      await pause(this.#leaseMs * LOOK * (0.75 + Math.random() / 2), this.#closing.signal)
    }
  }

  async #hide(): Promise<void> {
    for (let found = BATCH; found === BATCH && performance.now() > this.#hideFrom; ) {
      const gone = await this.#sparingly(async () => {
        const turns = await this.#record.hideGone(BATCH)
        await this.#tell(turns)
        return turns
      })
      found = gone?.length ?? 0
    }
  }

  /** Finds what nobody told of here: lost by the bus, or turned by a node that died before it could tell. */
  async #catchUp(): Promise<void> {
    const { turns, next } = await this.#record.turnsFrom(this.#missedFrom, SETTLE_MS, MISSED_BATCH)
    const missed = turns.filter((turn) => this.#isNews(turn))
    for (let from = 0; from < missed.length; from += BATCH) {
      const batch = missed.slice(from, from + BATCH)
      const watchers = await this.#record.watchersOf(batch.map(({ user_id }) => user_id))
      for (const turn of batch) this.#take({ ...turn, watchers: watchers.get(turn.user_id) ?? [] })
    }
    this.#missedFrom = next
    const horizon = performance.now() - NOTED_MS
    for (const [userId, { at }] of this.#noted) {
      if (at > horizon) break
      this.#noted.delete(userId)
    }
  }

  async #tell(turns: readonly Turn[]): Promise<void> {
    if (turns.length === 0) return
    const watchers = await this.#record.watchersOf(turns.map(({ user_id }) => user_id))
    let piece: string[] = []
    let length = 0
    const send = () => {
      if (piece.length > 0) this.#bus.broadcast(this.#topic, `[${piece.join(',')}]`)
      piece = []
      length = 0
    }
    for (const turn of turns) {
      const told = { ...turn, watchers: watchers.get(turn.user_id) ?? [] }
      const json = JSON.stringify(told)
      if (length + json.length > MAX_LENGTH) send()
      piece.push(json)
      length += json.length
      this.#take(told)
    }
    send()
  }

  /** Anybody may publish there: what is no list of turns is not heard. */
  #hear(text: string): void {
    try {
      for (const told of JSON.parse(text)) this.#take(told)
    } catch {
      // Of another version, perhaps; the record has it.
    }
  }

  #isNews({ user_id, turned_at }: Turn): boolean {
    return turned_at > (this.#noted.get(user_id)?.turned_at ?? 0)
  }

  #take({ watchers, turned_at, ...state }: ToldTurn): void {
    if (!this.#isNews({ ...state, turned_at })) return
    this.#noted.delete(state.user_id)
    this.#noted.set(state.user_id, { turned_at, at: performance.now() })
    let event: PassingEvent | undefined
    for (const watcher of watchers) {
      const reader = this.#here.reader(watcher)
      if (!reader) continue
      event ??= encodePassing({ type: 'presence.changed', at: new Date(turned_at).toISOString(), ...state })
      reader.pass(event)
    }
  }

  /** Does some work, then leaves as much time to others as it took. Nothing where it failed. */
  async #sparingly<T>(work: () => Promise<T>): Promise<T | undefined> {
    const began = performance.now()
    try {
      const done = await work()
      this.#hasFailed = false
      await pause(performance.now() - began, this.#closing.signal)
      return done
    } catch (error) {
      if (!this.#hasFailed && !this.#closing.signal.aborted) this.#onError(error)
      this.#hasFailed = true
      this.#hideFrom = performance.now() + this.#leaseMs * GRACE
      return undefined
    }
  }
}
