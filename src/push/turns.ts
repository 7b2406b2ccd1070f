import { setTimeout as pause } from 'node:timers/promises'
import type { DuePush, PushView, Settlement } from '../store/pushes.ts'
import type { Due, Turn } from '../store/turn-queue.ts'
import { judge } from './absence.ts'
import type { Delivered, Delivery } from './deliveries.ts'
import type { PushMetrics } from './metrics.ts'

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
  deliveries: { deliver(deliveries: readonly Delivery[], signal: AbortSignal): Promise<Delivered[]> }
  metrics: PushMetrics
  /** How long a turn may take, before the queue takes its node for dead. */
  turnMs: number
  /** ms since 1970, the same on all nodes. */
  now(): number
  onError(error: unknown): void
}

/** Turns under way at once; each waits for push services most of its time. */
const MAX_TURNS = 1_024
const BATCH = 256
/** Fewer are not worth a query, unless there are no more. */
const MIN_ROOM = 64
/** How often is looked whose turn it is, where nobody says so. */
const LOOK_MS = 1_000
const RETRY_MS = 1_000
/** What is under way when the node goes away has so long to end. */
const LAST_MS = 2_500
const GIVE_UP_MS = 24 * 3_600_000

/**
 * Takes turns and sends what is due, looking once more whether it still is. What became of them is written for all
 * that have ended meanwhile at once; should this node die before, it is sent again.
 */
export class Turns implements AsyncDisposable {
  readonly #given: Given
  /** No more turns are taken; those under way are to end. */
  readonly #closing = new AbortController()
  readonly #ending = new AbortController()
  readonly #ended: Promise<void>
  readonly #underWay = new Set<Promise<void>>()
  #waiting = new AbortController()
  #isWoken = false
  #isFull = false
  #done: { turn: Turn; settlements: Settlement[] }[] = []
  #settling: Promise<void> | undefined
  #hasFailed = false

  constructor(given: Given) {
    this.#given = given
    this.#ended = this.#run()
  }

  /** Somebody's turn has come. */
  wake(): void {
    this.#isWoken = true
    this.#waiting.abort()
  }

  /** Lets what is under way end, or gives it up: another node sends it then. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    this.#waiting.abort()
    await this.#ended
    const timer = setTimeout(() => this.#ending.abort(), LAST_MS)
    await Promise.allSettled(this.#underWay)
    clearTimeout(timer)
    await this.#settling
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      this.#isWoken = false
      const hasMore = await this.#take()
      if (!hasMore) await this.#wait(LOOK_MS * (0.75 + Math.random() / 2))
    }
  }

  /** Takes as many turns as there is room for. True if there may be more. */
  async #take(): Promise<boolean> {
    const room = Math.min(MAX_TURNS - this.#underWay.size, BATCH)
    this.#isFull = room < MIN_ROOM
    if (this.#isFull) return false
    try {
      const turns = await this.#given.queue.take(room)
      if (turns.length > 0) await this.#begin(turns)
      this.#hasFailed = false
      return turns.length > 0
    } catch (error) {
      this.#tell(error)
      return false
    }
  }

  async #begin(turns: readonly Turn[]): Promise<void> {
    const { store } = this.#given
    const pushes = await store.due(turns.map(({ user_id }) => user_id))
    const views = pushes.length > 0 ? await store.views(pushes) : []
    const due = pushes.flatMap((push, index) => {
      const view = views[index]
      return view ? [{ push, view }] : []
    })
    const byUser = Map.groupBy(due, ({ push }) => push.user_id)
    for (const turn of turns) {
      const run = this.#runTurn(turn, byUser.get(turn.user_id) ?? [])
        .catch((error: unknown) => this.#tell(error))
        .finally(() => {
          this.#underWay.delete(run)
          if (this.#isFull && MAX_TURNS - this.#underWay.size >= MIN_ROOM) this.wake()
        })
      this.#underWay.add(run)
    }
  }

  async #runTurn(turn: Turn, due: readonly Delivery[]): Promise<void> {
    const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(this.#given.turnMs)])
    const settlements: Settlement[] = []
    const deliveries: Delivery[] = []
    for (const delivery of due) {
      const settlement = this.#withoutSending(delivery)
      if (settlement) settlements.push(settlement)
      else deliveries.push(delivery)
    }
    const delivered = await this.#given.deliveries.deliver(deliveries, signal)
    for (const [index, delivery] of deliveries.entries()) {
      const outcome = delivered[index]
      if (outcome) settlements.push(this.#settlementOf(delivery, outcome))
    }
    this.#done.push({ turn, settlements })
    this.#settling ??= this.#settle()
  }

  /** What becomes of it if there is nothing to send, or not now. */
  #withoutSending({ push, view }: Delivery): Settlement | undefined {
    const nothing = { rung: [], refused: [], tries: {}, withdrawn: [] }
    const over = () => settle({ push, view }, wasRung(push) ? 'rung' : 'over', nothing)
    if (push.age_ms > GIVE_UP_MS) {
      this.#given.metrics.abandoned += 1
      return over()
    }
    if (push.withdrawing) return undefined
    // Read, muted, deleted, left …
    if (view.seq === null) return over()
    const epoch = this.#given.epochOf(view.database_epoch, push.user_id)
    const absence = judge({ inbox_id: push.inbox_id, epoch }, view.devices)
    if (absence.type === 'away') return undefined
    return absence.type === 'received'
      ? over()
      : settle({ push, view }, 'later', nothing, Math.ceil(absence.ms))
  }

  #settlementOf(delivery: Delivery, { rung, refused, tries }: Delivered): Settlement {
    const { push } = delivery
    // What was taken back rings nowhere: that device is done with.
    const delivered = push.withdrawing
      ? { rung: [], refused: [...rung, ...refused], tries, withdrawn: rung }
      : { rung, refused, tries, withdrawn: [] }
    const times = Object.values(tries).map(({ at }) => at)
    if (times.length > 0) {
      return settle(delivery, 'later', delivered, Math.max(Math.min(...times) - this.#given.now(), 0))
    }
    return settle(delivery, delivered.rung.length > 0 || wasRung(push) ? 'rung' : 'over', delivered)
  }

  /** Like sends: what ends while a write is under way goes together into the next one. */
  async #settle(): Promise<void> {
    const { store, queue } = this.#given
    while (this.#done.length > 0) {
      const done = this.#done.splice(0, BATCH)
      try {
        const settlements = done.flatMap((one) => one.settlements)
        if (settlements.length > 0) await store.settle(settlements)
        const turns = done.map(({ turn }) => turn)
        await queue.finish(turns)
        // Behind the end of the turns: until then whoever made something due could give nobody another turn.
        const dues = await store.dues(turns.map(({ user_id }) => user_id))
        await queue.add(dues)
        if (dues.some(({ due_ms }) => due_ms <= 0)) this.wake()
      } catch (error) {
        this.#tell(error)
        this.#done.unshift(...done)
        if (this.#closing.signal.aborted) break
        await pause(RETRY_MS, undefined, { ref: false })
      }
    }
    this.#settling = undefined
  }

  #tell(error: unknown): void {
    if (!this.#hasFailed && !this.#closing.signal.aborted) this.#given.onError(error)
    this.#hasFailed = true
  }

  async #wait(ms: number): Promise<void> {
    this.#waiting = new AbortController()
    if (this.#closing.signal.aborted || this.#isWoken) return
    await pause(ms, undefined, { signal: this.#waiting.signal, ref: false }).catch(() => {})
  }
}

/** Whether some device shows a notification of it. */
function wasRung({ rung, withdrawing }: DuePush): boolean {
  return rung.length > 0 && !withdrawing
}

function settle(
  { push, view }: { push: DuePush; view: PushView },
  outcome: Settlement['outcome'],
  delivered: Delivered & { withdrawn: string[] },
  due_ms = 0,
): Settlement {
  const { user_id, about, withdrawing, seq: planned_seq } = push
  return {
    user_id,
    about,
    withdrawing,
    planned_seq,
    outcome,
    seq: view.seq ?? planned_seq,
    ...delivered,
    due_ms,
  }
}
