import { pause, Waker } from '../pause.ts'
import type { DuePush, PushView, Settlement } from '../store/pushes.ts'
import type { Due, Turn } from '../store/turn-queue.ts'
import { Allowance } from './allowance.ts'
import type { Delivered, Delivery, Look } from './deliveries.ts'
import { type FreshView, type FreshViews, freshFromNow } from './fresh-views.ts'
import type { PushMetrics } from './metrics.ts'
import { OpenTurn } from './open-turn.ts'
import { afterSending, later, type Outcome, withoutSending } from './outcome.ts'

/** Handed in: turns of people, of each one at a time in the whole deployment. */
type TurnQueuePort = {
  take(limit: number): Promise<Turn[]>
  finish(turns: readonly Turn[]): Promise<void>
  add(dues: readonly Due[]): Promise<void>
}

/** Handed in. */
type TurnStore = {
  due(userIds: readonly string[]): Promise<DuePush[]>
  views(pushes: readonly Pick<DuePush, 'user_id' | 'about' | 'from_seq'>[]): Promise<PushView[]>
  settle(settlements: readonly Settlement[]): Promise<void>
  dues(userIds: readonly string[]): Promise<Due[]>
}

type Given = {
  queue: TurnQueuePort
  store: TurnStore
  epochOf(databaseEpoch: string, userId: string): string
  deliveries: { deliver(delivery: Delivery, look: Look): Promise<Delivered> }
  /** What the planner has just looked up. */
  freshViews: Pick<FreshViews, 'take'>
  metrics: PushMetrics
  pace: { readonly pushesPerSecond: number }
  /** How long a turn may take, before the queue takes its node for dead. */
  turnMs: number
  /** ms since 1970, the same on all nodes. */
  now(): number
  onError(error: unknown): void
}

type Looked = Delivery & FreshView

/** Turns under way at once; each waits for push services most of its time. */
const MAX_TURNS = 1_024
const BATCH = 256
/** Fewer are not worth a query, unless there are no more. */
const MIN_ROOM = 64
/** How often is looked whose turn it is, where nobody says so. */
const LOOK_MS = 1_000
/** Where sends go first, how soon there may be room again. */
const PACE_MS = 50
const RETRY_MS = 1_000
/** What ends within so long is written together. */
const GATHER_MS = 100
/** What is under way when the node goes away has so long to end. */
const LAST_MS = 2_500
/** After so long what has ended is written, and what another node made due meanwhile goes past the slow ones. */
const ROUND_MS = 1_000
/** What failed for a reason of our own is looked at again after so long. */
const FAILED_MS = 60_000

/**
 * Takes turns and sends what is due, looking once more whether it still is. What became of them is written for all
 * that have ended meanwhile at once; should this node die before, it is sent again. A turn with a slow device goes on in
 * rounds: so nobody else sends to that one, and what becomes due reaches the others.
 */
export class Turns implements AsyncDisposable {
  readonly #given: Given
  readonly #allowance: Allowance
  /** No more turns are taken; those under way are to end. */
  readonly #closing = new AbortController()
  readonly #ending = new AbortController()
  readonly #ended: Promise<void>
  readonly #open = new Set<OpenTurn>()
  readonly #rounds = new Set<Promise<void>>()
  readonly #waker = new Waker()
  #isFull = false
  /** Turns whose round has ended, and those to be given another one. */
  #done: OpenTurn[] = []
  #continuing: OpenTurn[] = []
  #settling: Promise<void> | undefined
  #hasFailed = false

  constructor(given: Given) {
    this.#given = given
    this.#allowance = new Allowance(() => given.pace.pushesPerSecond)
    this.#ended = this.#run()
  }

  /** Their turn has come; whoever has one already gets what is due now without waiting for the slow. */
  wake(userIds: ReadonlySet<string>): void {
    for (const open of this.#open) if (userIds.has(open.turn.user_id)) open.hurry()
    this.#waker.wake()
  }

  /** Lets what is under way end, or gives it up: another node sends it then. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#waker.close()
    await this.#ended
    const timer = setTimeout(() => this.#ending.abort(), LAST_MS)
    await Promise.all(this.#rounds)
    await Promise.all([...this.#open].map((open) => open.ended()))
    clearTimeout(timer)
    await this.#settling
    this.#done.push(...this.#continuing.splice(0))
    await this.#settle()
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const idleMs = await this.#take()
      if (idleMs > 0) await this.#waker.pause(idleMs)
    }
  }

  /** Takes as many turns as there is room for. Returns for how long there is nothing to do, as far as is known. */
  async #take(): Promise<number> {
    const { queue } = this.#given
    const continuing = this.#continuing.splice(0)
    const room = Math.min(MAX_TURNS - this.#open.size, BATCH)
    this.#isFull = room < MIN_ROOM
    const count = this.#isFull ? 0 : Math.min(room, this.#allowance.room())
    try {
      const turns = count > 0 ? await queue.take(count) : []
      this.#allowance.spend(turns.length)
      continuing.push(...turns.map((turn) => this.#opened(turn)))
      if (continuing.length > 0) await this.#begin(continuing)
      this.#hasFailed = false
      if (count > 0 && turns.length === count) return count === room ? 0 : PACE_MS
      return count > 0 || this.#isFull ? LOOK_MS * (0.75 + Math.random() / 2) : PACE_MS
    } catch (error) {
      this.#continuing.push(...continuing)
      this.#tell(error)
      return LOOK_MS
    }
  }

  #opened(turn: Turn): OpenTurn {
    const open = new OpenTurn(turn, this.#given.turnMs, this.#ending.signal)
    this.#open.add(open)
    return open
  }

  #close(open: OpenTurn): void {
    this.#open.delete(open)
    open[Symbol.dispose]()
  }

  /** A round of each. */
  async #begin(turns: readonly OpenTurn[]): Promise<void> {
    const { store } = this.#given
    const beginning = turns.filter((open) => open.mayBegin)
    const pushes = beginning.length > 0 ? await store.due(beginning.map(({ turn }) => turn.user_id)) : []
    const byUser = Map.groupBy(await this.#look(pushes), ({ push }) => push.user_id)
    for (const open of turns) {
      const round = this.#round(open, byUser.get(open.turn.user_id) ?? [])
        .catch((error: unknown) => {
          this.#tell(error)
          this.#continuing.push(open)
        })
        .finally(() => this.#rounds.delete(round))
      this.#rounds.add(round)
    }
  }

  /** What there is to ring for: as the planner has just seen it, else as it is now. */
  async #look(pushes: readonly DuePush[]): Promise<Looked[]> {
    const { store, freshViews } = this.#given
    const known = pushes.map((push) => (push.withdrawing ? undefined : freshViews.take(push)))
    const others = pushes.filter((_, index) => !known[index])
    const views = (others.length > 0 ? await store.views(others) : []).values()
    const until = freshFromNow()
    return pushes.flatMap((push, index) => {
      const { view, freshUntil } = known[index] ?? { view: views.next().value, freshUntil: until }
      return view ? [{ push, view, freshUntil }] : []
    })
  }

  async #round(open: OpenTurn, due: readonly Looked[]): Promise<void> {
    const { lines, signal } = open
    for (const delivery of due.filter((one) => !open.isUnsettled(one))) {
      const outcome = withoutSending(delivery, this.#given)
      const { freshUntil } = delivery
      if (outcome) open.outcomes.push(outcome)
      else open.add(delivery, this.#deliver(delivery, { lines, signal, freshUntil }))
    }
    await open.round(ROUND_MS)
    this.#done.push(open)
    this.#settling ??= this.#settle()
  }

  async #deliver(delivery: Delivery, look: Look): Promise<Outcome> {
    const { deliveries, now } = this.#given
    try {
      return afterSending(delivery, await deliveries.deliver(delivery, look))
    } catch (error) {
      this.#tell(error)
      return later(delivery, now() + FAILED_MS)
    }
  }

  /** Like sends: what ends while a write is under way goes together into the next one. */
  async #settle(): Promise<void> {
    while (this.#done.length > 0) {
      if (this.#done.length < BATCH) await pause(GATHER_MS)
      const done = this.#done.splice(0, BATCH)
      try {
        await this.#write(done)
        const over = done.filter((open) => open.isOver)
        await this.#finish(over.map(({ turn }) => turn))
        for (const open of over) this.#close(open)
        this.#continuing.push(...done.filter((open) => this.#open.has(open)))
        const hasRoom = this.#isFull && MAX_TURNS - this.#open.size >= MIN_ROOM
        if (hasRoom || this.#continuing.length > 0) this.#waker.wake()
      } catch (error) {
        this.#tell(error)
        this.#done.unshift(...done)
        if (this.#closing.signal.aborted) break
        await pause(RETRY_MS)
      }
    }
    this.#settling = undefined
  }

  async #write(turns: readonly OpenTurn[]): Promise<void> {
    const now = this.#given.now()
    const written = turns.map((open) => ({ open, outcomes: [...open.outcomes] }))
    const settlements = written.flatMap(({ outcomes }) =>
      outcomes.map(({ at, ...rest }): Settlement => ({ ...rest, due_ms: Math.max(Math.ceil(at - now), 0) })),
    )
    if (settlements.length > 0) await this.#given.store.settle(settlements)
    for (const { open, outcomes } of written) open.outcomes.splice(0, outcomes.length)
  }

  async #finish(turns: readonly Turn[]): Promise<void> {
    if (turns.length === 0) return
    const { queue, store } = this.#given
    await queue.finish(turns)
    // Behind the end of the turns: until then whoever made something due could give nobody another turn.
    const dues = await store.dues(turns.map(({ user_id }) => user_id))
    await queue.add(dues)
    if (dues.some(({ due_ms }) => due_ms <= 0)) this.#waker.wake()
  }

  #tell(error: unknown): void {
    if (!this.#hasFailed && !this.#closing.signal.aborted) this.#given.onError(error)
    this.#hasFailed = true
  }
}
