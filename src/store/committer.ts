import { setImmediate, setTimeout } from 'node:timers/promises'
import { type Announcement, encodeEvent } from '../protocol/event.ts'
import { Problem, unavailable } from '../protocol/problems.ts'
import type { Message } from '../protocol/types.ts'
import {
  type CommitRow,
  newMessage,
  readMessages,
  refusal,
  type Send,
  unlockedConversations,
} from './commit-group.ts'
import { commitWithRetry, isHopeless, isUnanswered, PATIENCE_MS } from './commit-retry.ts'
import { errorCode, LOCK_NOT_AVAILABLE, type Sql } from './database.ts'

export type Sent = { message: Message; replayed: boolean }

/** Tells the bus of a committed event. */
export type Announce = (announcement: Announcement) => void

type Pending = {
  send: Send
  behind: Send | undefined
  bytes: number
  twins: Pending[]
  resolve(sent: Sent): void
  reject(error: unknown): void
}

/** A send and what became of it in its transaction. */
type Committed = { pending: Pending; row: CommitRow | undefined }

const MAX_GROUP_SENDS = 512
/** A larger group would hold its locks too long and stall those behind it. */
const MAX_GROUP_ROWS = 2_000
const MAX_GROUP_BYTES = 4 * 1024 * 1024
const MAX_QUEUED_SENDS = 4_096
const MAX_QUEUED_BYTES = 64 * 1024 * 1024
/** How often an absent Postgres is asked. */
const PROBE_MS = 200
const MAX_KNOWN_SIZES = 100_000

/**
 * Commits sends in groups: those that arrive while a transaction is under way go together into the next one.
 * One in flight, no timer, one round trip, one fsync for all of them.
 */
export class Committer {
  readonly #sql: Sql
  readonly #announce: Announce
  readonly #onUncertain: () => void
  /** Messages committed so far. */
  committed = 0
  #queue: Pending[] = []
  #queuedBytes = 0
  #groupSince: number | undefined
  #committing = 0
  /** Postgres did not answer the last group: until it does, sends are told so at once. */
  #isAway = false
  /** Inbox rows that a send to a conversation made last time: how full a group gets. */
  readonly #sizes = new Map<string, number>()
  /** Sends of which nobody knows whether they may yet be committed, and why. */
  readonly #failed = new WeakMap<Send, unknown>()

  /**
   * `sql` is a pool of one connection, its own, with a short lock_timeout. `onUncertain`: messages may have been committed
   * that are never announced, as Postgres's answer was lost.
   */
  constructor(sql: Sql, announce: Announce, onUncertain: () => void) {
    this.#sql = sql
    this.#announce = announce
    this.#onUncertain = onUncertain
  }

  /** Sends waiting for the group under way to end. */
  get queued(): number {
    return this.#queue.length
  }

  /** Those, and the ones in the group. */
  get underWay(): number {
    return this.#queue.length + this.#committing
  }

  /**
   * Resolves when the message is committed into every member's inbox, or found committed before.
   * Throws Problem: not_found, idempotency_mismatch, reply_not_found, blocked, unavailable (full queue or no Postgres).
   * `behind` is one before it that it must not overtake: where that is not refused but fails, this fails too.
   */
  commit(send: Send, behind?: Send): Promise<Sent> {
    const bytes = send.text.length * 2 + 512
    return new Promise((resolve, reject) => {
      const pending = { send, behind, bytes, twins: [], resolve, reject }
      if (this.#isOverloaded(bytes)) {
        this.#fail(pending, away())
        return
      }
      this.#queue.push(pending)
      this.#queuedBytes += bytes
      if (this.#groupSince === undefined) void this.#run()
    })
  }

  #isOverloaded(bytes: number): boolean {
    if (this.#queue.length >= MAX_QUEUED_SENDS || this.#queuedBytes + bytes > MAX_QUEUED_BYTES) return true
    return this.#isAway || !this.#isPatient()
  }

  async #run(): Promise<void> {
    this.#groupSince = performance.now()
    let former: Committed[] = []
    // What has arrived by now goes into one group, also what is still to be read from its socket.
    while (await this.#hasMore()) {
      this.#groupSince = performance.now()
      const group = this.#takeGroup()
      this.#committing = group.length
      const committing = this.#commitGroup(group)
      // This group is on its way to Postgres before the news of the former one go out to a thousand readers.
      this.#settle(former)
      former = await committing
      this.#committing = 0
      if (this.#isAway) this.#refuseQueue()
    }
    this.#groupSince = undefined
    this.#settle(former)
  }

  async #hasMore(): Promise<boolean> {
    await setImmediate()
    return this.#queue.length > 0
  }

  async #awaitReturn(): Promise<void> {
    if (this.#isAway) return
    this.#isAway = true
    while (this.#isAway) {
      await setTimeout(PROBE_MS, undefined, { ref: false })
      await this.#sql`SELECT 1`.then(
        () => {
          this.#isAway = false
        },
        (error: unknown) => {
          // The gateway ends.
          if (errorCode(error) === 'CONNECTION_ENDED') this.#isAway = false
        },
      )
    }
  }

  #refuseQueue(): void {
    for (const pending of this.#queue) this.#fail(pending, away())
    this.#queue = []
    this.#queuedBytes = 0
  }

  #takeGroup(): Pending[] {
    const group = new Map<string, Pending>()
    const later: Pending[] = []
    let rows = 0
    let bytes = 0
    let taken = 0
    for (const pending of this.#queue) {
      rows += this.#sizes.get(pending.send.conversation_id) ?? 2
      bytes += pending.bytes
      if (taken > 0 && (rows > MAX_GROUP_ROWS || bytes > MAX_GROUP_BYTES || taken >= MAX_GROUP_SENDS)) break
      taken += 1
      // One key twice in a group would violate its own uniqueness: a twin shares the first one's answer, and the
      // same key with other content waits until the first use is there to be compared with.
      const key = `${pending.send.sender_id ?? ''}\0${pending.send.key}`
      const first = group.get(key)
      if (!first) group.set(key, pending)
      else if (first.send.request_hash.equals(pending.send.request_hash)) first.twins.push(pending)
      else later.push(pending)
    }
    this.#queue = [...later, ...this.#queue.slice(taken)]
    this.#queuedBytes = bytesOf(this.#queue)
    return [...group.values()]
  }

  /** Commits a group; one that fails as a whole is split, so that a poisoned send fails alone. */
  async #commitGroup(taken: Pending[]): Promise<Committed[]> {
    const group = taken.filter((pending) => this.#keepsOrder(pending))
    if (group.length === 0) return []
    try {
      const rows = await commitWithRetry(
        this.#sql,
        group.map((pending) => pending.send),
        this.#onUncertain,
      )
      return group.map((pending, index) => ({ pending, row: rows[index] }))
    } catch (error) {
      const rest = errorCode(error) === LOCK_NOT_AVAILABLE ? await this.#failLocked(group, error) : group
      if (rest.length < group.length) return this.#commitGroup(rest)
      if (group.length > 1 && !isHopeless(error) && this.#isPatient()) {
        const half = group.length >> 1
        const first = await this.#commitGroup(group.slice(0, half))
        return [...first, ...(await this.#commitGroup(group.slice(half)))]
      }
      if (isUnanswered(error)) void this.#awaitReturn()
      for (const pending of group) this.#fail(pending, error)
      return []
    }
  }

  /** One whose forerunner failed, be it in a group before this one, fails with it. */
  #keepsOrder(pending: Pending): boolean {
    const { behind } = pending
    const hasForerunner = behind === undefined || !this.#failed.has(behind)
    if (!hasForerunner) this.#fail(pending, this.#failed.get(behind))
    return hasForerunner
  }

  #fail(pending: Pending, error: unknown): void {
    for (const each of [pending, ...pending.twins]) {
      this.#failed.set(each.send, error)
      each.reject(error)
    }
  }

  /** Whether the group under way may still take its time. */
  #isPatient(): boolean {
    return this.#groupSince === undefined || performance.now() - this.#groupSince < PATIENCE_MS
  }

  /** A lock was not had in time: those whose conversation is locked give up. Returns the others. */
  async #failLocked(group: Pending[], error: unknown): Promise<Pending[]> {
    const ids = group.map((pending) => pending.send.conversation_id)
    const free = await unlockedConversations(this.#sql, ids).catch(() => new Set(ids))
    for (const pending of group) if (!free.has(pending.send.conversation_id)) this.#fail(pending, error)
    return group.filter((pending) => free.has(pending.send.conversation_id))
  }

  #settle(committed: Committed[]): void {
    const replays: { pending: Pending; seq: number }[] = []
    for (const { pending, row } of committed) {
      if (row?.status === 'replayed' && row.seq !== null) replays.push({ pending, seq: row.seq })
      else if (row?.status === 'created' && row.seq !== null && row.at) {
        this.#created(pending, row.seq, row.at, row)
      } else answer(pending, refusal(row?.status))
    }
    if (replays.length > 0) void this.#replay(replays)
  }

  async #replay(replays: { pending: Pending; seq: number }[]): Promise<void> {
    try {
      const messages = await readMessages(
        this.#sql,
        replays.map(({ pending }) => pending.send.conversation_id),
        replays.map(({ seq }) => seq),
      )
      for (const { pending, seq } of replays) {
        const message = messages.get(`${pending.send.conversation_id}/${seq}`)
        answer(pending, message ? { message, replayed: true } : refusal('not_found'))
      }
    } catch (error) {
      for (const { pending } of replays) this.#fail(pending, error)
    }
  }

  #created(pending: Pending, seq: number, at: Date, row: CommitRow): void {
    const message = newMessage(pending.send, row, seq, at.toISOString())
    const recipients = row.recipients ?? []
    this.#rememberSize(pending.send.conversation_id, recipients.length)
    this.committed += 1
    const { conversation_id, created_at } = message
    const body = encodeEvent({ type: 'message.created', at: created_at, conversation_id, message })
    const { database_epoch } = row
    const news =
      message.sender_id === null ? undefined : { about: conversation_id, seq, by: message.sender_id }
    this.#announce({ recipients, ids: row.inbox_ids ?? [], database_epoch, body, news })
    answer(pending, { message, replayed: false })
  }

  #rememberSize(conversationId: string, size: number): void {
    if (size === 2) this.#sizes.delete(conversationId)
    else if (this.#sizes.size < MAX_KNOWN_SIZES || this.#sizes.has(conversationId))
      this.#sizes.set(conversationId, size)
    else this.#sizes.clear()
  }
}

function away(): Problem {
  return unavailable('The database does not answer just now. Send again with the same key.')
}

/** Twins get a replay of the first one's message. */
function answer(pending: Pending, outcome: Sent | Problem): void {
  for (const each of [pending, ...pending.twins]) {
    if (outcome instanceof Problem) each.reject(outcome)
    else each.resolve(each === pending ? outcome : { message: outcome.message, replayed: true })
  }
}

function bytesOf(queue: readonly Pending[]): number {
  return queue.reduce((sum, pending) => sum + pending.bytes, 0)
}
