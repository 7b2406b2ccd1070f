import { pause } from '../pause.ts'
import type { Candidate } from '../store/pushes.ts'
import type { Planner } from './planner.ts'

type DeadNode = { node: string; planned_until: string }
type Span = { dead: DeadNode[]; from: Date; until: Date }
type Owed = Candidate & { age_ms: number }

/** Handed in. */
type RecoveryStore = {
  /** What came into the inboxes of the next people behind `after` who want to be woken; `next`: where to go on. */
  owed(span: Omit<Span, 'dead'>, after: string): Promise<{ owed: Owed[]; next: string | undefined }>
  /** Who has something due for so long, since nobody gave them their turn. */
  overdue(ms: number, limit: number): Promise<string[]>
}

/** Handed in: marks of how far each node has decided. */
type PlannerMarks = {
  beat(undecidedMs: number, nodes: readonly string[]): Promise<void>
  takeOver(): Promise<Span | undefined>
  forget(dead: readonly DeadNode[]): Promise<void>
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
  /** Whoever has something due for longer has lost their turn. */
  overdueMs: number
  onOverdue(userIds: readonly string[]): Promise<void>
  onError(error: unknown): void
}

/** From the time that a message bears to when the planner has it: longer than any commit takes. */
const SLACK_MS = 15_000
const OVERDUE_BATCH = 1_000
const ROOM_MS = 200

/**
 * Says how far this node has decided whom to wake, and goes through what nodes left undecided that died, inbox by inbox of
 * those who want to be woken: nothing is written for that while messages are sent, and nothing read while all nodes live.
 * Who was rung before is not rung again, since their episode is written.
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
      await pause(ms, this.#closing.signal)
    }
  }

  async #try(turn: number): Promise<void> {
    const { marks, store, staleMs, overdueMs } = this.#given
    try {
      await this.#beat()
      const left = await marks.takeOver()
      if (left) this.#spans.push(left)
      this.#addLost()
      for (let span = this.#spans[0]; span; span = this.#spans[0]) {
        if (!(await this.#goThrough(span))) return
        // What is still to be decided of it this node has said itself by now.
        if (span.dead.length > 0) await marks.forget(span.dead)
        this.#spans.shift()
      }
      const seldom = Math.max(Math.round(overdueMs / staleMs), 1)
      if (turn % seldom === 0) await this.#given.onOverdue(await store.overdue(overdueMs, OVERDUE_BATCH))
      this.#hasFailed = false
    } catch (error) {
      if (!this.#hasFailed && !this.#closing.signal.aborted) this.#given.onError(error)
      this.#hasFailed = true
    }
  }

  #beat(): Promise<void> {
    const { marks, planner, now } = this.#given
    const own = this.#spans.filter(({ dead }) => dead.length === 0)
    const owed = Math.max(...own.map(({ from }) => now() - from.getTime()), 0)
    const nodes = this.#spans.flatMap(({ dead }) => dead.map(({ node }) => node))
    return marks.beat(Math.max(planner.undecidedMs, owed) + SLACK_MS, nodes)
  }

  /** What this node itself had no room for, or was not told of. */
  #addLost(): void {
    const { planner, now, staleMs } = this.#given
    const lost = planner.takeLost(staleMs)
    if (!lost) return
    const until = now()
    this.#spans.push({ dead: [], from: new Date(until - lost.sinceMs - SLACK_MS), until: new Date(until) })
  }

  /** False if the node goes away before it is done: then all of it is still to be gone through. */
  async #goThrough(span: Span): Promise<boolean> {
    const { store, planner } = this.#given
    const { signal } = this.#closing
    for (let after: string | undefined = ''; after !== undefined; ) {
      if (signal.aborted) return false
      if (planner.hasRoom) {
        const { owed, next } = await store.owed(span, after)
        planner.takeOwed(owed)
        after = next
      } else await pause(ROOM_MS, signal)
      await this.#beat()
    }
    return true
  }
}
