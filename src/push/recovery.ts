import { setTimeout as pause } from 'node:timers/promises'
import type { Candidate } from '../store/pushes.ts'
import type { Planner } from './planner.ts'

type Span = { from: Date; until: Date }
type Owed = Candidate & { age_ms: number }

/** Handed in. */
type RecoveryStore = {
  owedMessages(from: Date, until: Date): Promise<Owed[]>
  owedAnnouncements(
    from: Date,
    until: Date,
    after: string,
  ): Promise<{ owed: Owed[]; next: string | undefined }>
  /** Who has something due for so long, since nobody gave them their turn. */
  overdue(ms: number, limit: number): Promise<string[]>
}

/** Handed in: marks of how far each node has decided. */
type PlannerMarks = {
  beat(undecidedMs: number): Promise<void>
  takeOver(): Promise<Span | undefined>
  leave(isAllDecided: boolean): Promise<void>
}

type Given = {
  store: RecoveryStore
  marks: PlannerMarks
  planner: Planner
  /** ms since 1970, as Postgres says. */
  now(): number
  /** A node that has not said for so long that it lives is dead. */
  staleMs: number
  onOverdue(userIds: readonly string[]): Promise<void>
  onError(error: unknown): void
}

/** From the time that a message bears to when the planner has it: longer than any commit takes. */
const SLACK_MS = 15_000
/** Of a span so much at a time: twice as much where that was quick, half where it was not. */
const SLICE_MS = 1_000
const MAX_SLICE_MS = 3_600_000
const QUICK_MS = 100
/** Longer than a turn takes that its node died in. */
const OVERDUE_MS = 120_000
const OVERDUE_BATCH = 1_000

/**
 * Says how far this node has decided whom to wake, and goes through what nodes left undecided that died, by the time of
 * the messages: nothing is written for that while messages are sent, and nothing read while all nodes live. Who was rung
 * before is not rung again, since their episode is written.
 */
export class Recovery implements AsyncDisposable {
  readonly #given: Given
  readonly #closing = new AbortController()
  readonly #ended: Promise<void>
  #spans: Span[] = []
  #hasFailed = false

  constructor(given: Given) {
    this.#given = given
    this.#ended = this.#run()
  }

  /** To be called once the planner has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#ended
    const isAllDecided = this.#spans.length === 0 && this.#given.planner.undecidedMs === 0
    await this.#given.marks.leave(isAllDecided).catch(this.#given.onError)
  }

  async #run(): Promise<void> {
    const { staleMs } = this.#given
    for (let turn = 0; !this.#closing.signal.aborted; turn += 1) {
      await this.#try(turn)
      const ms = (staleMs / 6) * (0.75 + Math.random() / 2)
      await pause(ms, undefined, { signal: this.#closing.signal, ref: false }).catch(() => {})
    }
  }

  async #try(turn: number): Promise<void> {
    const { marks, store, staleMs } = this.#given
    try {
      await this.#beat()
      const left = await marks.takeOver()
      if (left) this.#spans.push(left)
      this.#addLost()
      for (let span = this.#spans[0]; span && !this.#closing.signal.aborted; span = this.#spans[0]) {
        await this.#goThroughAnnouncements(span)
        await this.#goThroughMessages(span)
        if (span.from >= span.until) this.#spans.shift()
      }
      const seldom = Math.max(Math.round(OVERDUE_MS / staleMs), 1)
      if (turn % seldom === 0) await this.#given.onOverdue(await store.overdue(OVERDUE_MS, OVERDUE_BATCH))
      this.#hasFailed = false
    } catch (error) {
      if (!this.#hasFailed && !this.#closing.signal.aborted) this.#given.onError(error)
      this.#hasFailed = true
    }
  }

  #beat(): Promise<void> {
    const now = this.#given.now()
    const owed = Math.max(...this.#spans.map(({ from }) => now - from.getTime()), 0)
    return this.#given.marks.beat(Math.max(this.#given.planner.undecidedMs, owed) + SLACK_MS)
  }

  /** What this node itself had no room for. */
  #addLost(): void {
    const lost = this.#given.planner.takeLost()
    if (!lost) return
    const now = this.#given.now()
    this.#spans.push({ from: new Date(now - lost.sinceMs - SLACK_MS), until: new Date(now) })
  }

  async #goThroughAnnouncements({ from, until }: Span): Promise<void> {
    for (let after: string | undefined = ''; after !== undefined && !this.#closing.signal.aborted; ) {
      const { owed, next } = await this.#given.store.owedAnnouncements(from, until, after)
      this.#given.planner.takeOwed(owed)
      after = next
    }
  }

  /** Leaves in the span what is still to be gone through. */
  async #goThroughMessages(span: Span): Promise<void> {
    const { store, planner } = this.#given
    for (let slice = SLICE_MS; span.from < span.until && !this.#closing.signal.aborted; ) {
      const until = new Date(Math.min(span.from.getTime() + slice, span.until.getTime()))
      const began = performance.now()
      planner.takeOwed(await store.owedMessages(span.from, until))
      span.from = until
      slice = performance.now() - began < QUICK_MS ? Math.min(slice * 2, MAX_SLICE_MS) : slice / 2
      await this.#beat()
    }
  }
}
