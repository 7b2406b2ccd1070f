import { pause } from '../pause.ts'
import type { Announcement } from '../protocol/event.ts'
import type { Candidate, PushView } from '../store/pushes.ts'
import type { Due } from '../store/turn-queue.ts'
import { judge } from './absence.ts'
import { Allowance } from './allowance.ts'
import { type FreshViews, freshFromNow } from './fresh-views.ts'
import { Losses } from './losses.ts'
import type { PushMetrics } from './metrics.ts'
import { Subscribers } from './subscribers.ts'
import { newestOf, type Waiting, WaitingRoom } from './waiting.ts'

/** Handed in. */
type PlannerStore = {
  hasSubscriptions(): Promise<boolean>
  subscribed(userIds: readonly string[], recentMs: number): Promise<Set<string>>
  views(pushes: readonly Pick<Candidate, 'user_id' | 'about' | 'from_seq'>[]): Promise<PushView[]>
  plan(candidates: readonly (Candidate & { due_ms: number })[]): Promise<Due[]>
  withdraw(read: readonly Pick<Candidate, 'user_id' | 'about'>[]): Promise<Due[]>
}

/** What is left of an announcement until it is known whom it concerns: no texts. */
type Arrival = Pick<Announcement, 'recipients' | 'ids'> & {
  news: NonNullable<Announcement['news']>
  is_announcement: boolean
  at: number
}

type Given = {
  store: PlannerStore
  /** The epoch of a user's inbox in a life of the database. */
  epochOf(databaseEpoch: string, userId: string): string
  /** How long whoever is there has to receive something. */
  graceMs: number
  metrics: PushMetrics
  /** For the turns of those who are away. */
  freshViews: Pick<FreshViews, 'keep' | 'drop'>
  /** It is told of everybody who may have to be pushed to. */
  pace: { readonly judgedPerSecond: number; arrived(): void }
  /** Somebody wants to be woken, for all that is known for the first time since the node began. */
  onWanted(): void
  /** Whose turn it is, and when. */
  onDue(dues: readonly Due[]): Promise<void>
  onError(error: unknown): void
}

const TICK_MS = 100
const RETRY_MS = 500
const BATCH = 500
/** What was committed meanwhile waits no longer to be looked at. */
const MAX_TICK_MS = 500
/** While nobody wants to be woken, no more is asked than whether that is still so, and so seldom. */
const LOOK_MS = 1_000
/** Beyond these, what is committed is left to be found again in the database. */
const MAX_RECIPIENTS = 500_000
const MAX_WAITING = 100_000
/** What is read beyond this leaves its notification where it is. */
const MAX_READ = 10_000
/** After these there may be nothing to ring somebody for: read, muted, left. */
const ENDING: ReadonlySet<string> = new Set(['conversation.read', 'member.updated', 'member.removed'])
/** How soon whoever is there is looked at again, as their tab may be hidden meanwhile: where many are, the later. */
const AGAIN_MS = 1_000
const MAX_AGAIN_MS = 10_000
const MANY = 500
/** Whoever is there for longer and receives nothing is waited for in the database, not here. */
const KEEP_MS = 60_000

/**
 * Decides whom to wake: what is committed here waits in memory for the grace time, then one query tells of hundreds of
 * people whether they have received it, and only who is away gets a row. Where this node dies before that, others find
 * what it has not decided: see recovery.ts.
 */
export class Planner implements AsyncDisposable {
  readonly #given: Given
  readonly #waiting: WaitingRoom
  readonly #subscribers: Subscribers
  readonly #allowance: Allowance
  readonly #closing = new AbortController()
  readonly #ended: Promise<void>
  #arrived: Arrival[] = []
  #recipients = 0
  #read: { user_id: string; about: string }[] = []
  #hasSubscriptions = false
  #lookAt = 0
  #deciding = Number.POSITIVE_INFINITY
  readonly #losses = new Losses()
  #hasFailed = false

  constructor(given: Given) {
    this.#given = given
    this.#waiting = new WaitingRoom(given.graceMs)
    this.#subscribers = new Subscribers(given.store)
    this.#allowance = new Allowance(() => given.pace.judgedPerSecond)
    this.#ended = this.#run()
  }

  /** Something was committed. Costs next to nothing: it is on the way of every message. */
  take(announcement: Announcement): void {
    const { news, body, recipients, ids } = announcement
    if (ENDING.has(body.type) && body.conversation_id !== null && this.#read.length < MAX_READ) {
      for (const user_id of recipients) this.#read.push({ user_id, about: body.conversation_id })
    }
    if (!news) return
    const at = performance.now()
    if (this.#recipients > MAX_RECIPIENTS) this.#losses.add(at)
    else {
      const is_announcement = body.type === 'announcement'
      this.#arrived.push({ news, recipients, ids, is_announcement, at })
      this.#recipients += recipients.length
    }
  }

  /** Something may have been committed here that take() is never told of: its answer was lost. */
  missed(): void {
    this.#losses.add(performance.now())
  }

  /** Whether it can take what other nodes left. */
  get hasRoom(): boolean {
    return this.#waiting.size < MAX_WAITING
  }

  /** What another node left: to be judged as if committed here. */
  takeOwed(owed: readonly (Candidate & { age_ms: number })[]): void {
    const now = performance.now()
    for (const { age_ms, ...candidate } of owed) this.#waiting.add(candidate, now - age_ms)
  }

  /** ms since the commit of the oldest that is not decided, lost or not; 0 if there is none. */
  get undecidedMs(): number {
    const oldest = Math.min(
      this.#arrived[0]?.at ?? Number.POSITIVE_INFINITY,
      this.#deciding,
      this.#waiting.oldest,
      this.#losses.since,
    )
    return Math.max(performance.now() - oldest, 0)
  }

  /** Since when events were lost here, once `settledMs` have gone by: they are to be found in the database. */
  takeLost(settledMs: number): { sinceMs: number } | undefined {
    return this.#losses.take(settledMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#ended
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const isDone = await this.#tick()
      await pause(isDone ? TICK_MS : RETRY_MS, this.#closing.signal)
    }
  }

  async #tick(): Promise<boolean> {
    try {
      if (await this.#isWanted()) {
        await this.#sift()
        await this.#withdraw()
      }
      const until = performance.now() + MAX_TICK_MS
      while ((await this.#decideSome()) && performance.now() < until && !this.#closing.signal.aborted);
      this.#hasFailed = false
      return true
    } catch (error) {
      if (!this.#hasFailed && !this.#closing.signal.aborted) this.#given.onError(error)
      this.#hasFailed = true
      return false
    }
  }

  /** Whether there is something to do for anybody. Where nobody wants to be woken, what was committed until now is dropped. */
  async #isWanted(): Promise<boolean> {
    const arrivals = this.#arrived.length
    const marks = this.#read.length
    if (arrivals + marks === 0 || this.#hasSubscriptions) return arrivals + marks > 0
    const now = performance.now()
    if (now < this.#lookAt) return false
    this.#lookAt = now + LOOK_MS
    this.#hasSubscriptions = await this.#given.store.hasSubscriptions()
    if (this.#hasSubscriptions) {
      this.#given.onWanted()
      return true
    }
    this.#drop(arrivals)
    this.#read = this.#read.slice(marks)
    return false
  }

  /** Keeps what may concern those who want to be woken. */
  async #sift(): Promise<void> {
    const arrived = this.#arrived
    const count = arrived.length
    if (count === 0) return
    const recipients = new Set(arrived.flatMap((arrival) => arrival.recipients))
    const isWanted = await this.#subscribers.among(recipients)
    for (const arrival of arrived.slice(0, count)) this.#admit(arrival, isWanted)
    this.#drop(count)
  }

  #drop(count: number): void {
    this.#arrived = this.#arrived.slice(count)
    this.#recipients = this.#arrived.reduce((sum, one) => sum + one.recipients.length, 0)
  }

  #admit({ news, recipients, ids, is_announcement, at }: Arrival, isWanted: Set<string>): void {
    if (isWanted.size === 0) return
    const { metrics, pace } = this.#given
    for (const [index, user_id] of recipients.entries()) {
      const inbox_id = ids[index]
      if (inbox_id === undefined || user_id === news.by || !isWanted.has(user_id)) continue
      if (this.#waiting.size >= MAX_WAITING) this.#losses.add(at)
      else {
        const { about, seq } = news
        this.#waiting.add({ user_id, about, is_announcement, from_seq: seq, seq, inbox_id }, at)
        metrics.considered += 1
        pace.arrived()
      }
    }
  }

  async #withdraw(): Promise<void> {
    if (this.#read.length === 0) return
    const read = this.#read
    this.#read = []
    const dues = await this.#given.store.withdraw(read).catch((error: unknown) => {
      this.#read = [...read, ...this.#read]
      throw error
    })
    await this.#given.onDue(dues)
  }

  /** Judges those whose time has come, fewer at once where sends go first. True if there may be more. */
  async #decideSome(): Promise<boolean> {
    const batch = this.#waiting.takeDue(Math.min(this.#allowance.room(), BATCH))
    if (batch.length === 0) return false
    this.#allowance.spend(batch.length)
    await this.#decide(batch)
    return batch.length === BATCH
  }

  async #decide(batch: readonly Waiting[]): Promise<void> {
    this.#deciding = Math.min(...batch.map(({ since }) => since))
    try {
      const views = await this.#given.store.views(batch)
      const until = freshFromNow()
      const plans = batch.flatMap((entry, index) => this.#judge(entry, views[index], until))
      if (plans.length > 0) {
        this.#given.metrics.away += plans.length
        const dues = await this.#given.store.plan(plans)
        this.#forget(plans, dues)
        await this.#given.onDue(dues)
      }
    } catch (error) {
      for (const entry of batch) this.#waiting.putBack(entry, entry.dueAt)
      throw error
    } finally {
      this.#deciding = Number.POSITIVE_INFINITY
    }
  }

  /** Who is rung already gets no turn that would take what was kept for it. */
  #forget(plans: readonly Candidate[], dues: readonly Due[]): void {
    const isDue = new Set(dues.map(({ user_id }) => user_id))
    for (const plan of plans) if (!isDue.has(plan.user_id)) this.#given.freshViews.drop(plan)
  }

  #judge(entry: Waiting, view: PushView | undefined, freshUntil: number): (Candidate & { due_ms: number })[] {
    if (!view || view.seq === null) return []
    const { since, later, dueAt, ...first } = entry
    const epoch = this.#given.epochOf(view.database_epoch, entry.user_id)
    const absence = judge({ inbox_id: first.inbox_id, epoch }, view.devices)
    const now = performance.now()
    if (absence.type === 'received') {
      this.#waiting.passOver(entry)
      return []
    }
    if (absence.type === 'waiting' && now - since < KEEP_MS) {
      const againMs = this.#waiting.peopleThere < MANY ? AGAIN_MS : MAX_AGAIN_MS
      this.#waiting.postpone(entry, now + Math.min(absence.ms, againMs))
      return []
    }
    // What was said before it goes first.
    if (absence.type === 'away' && this.#waiting.hasten(entry.user_id)) {
      this.#waiting.putBack(entry, now)
      return []
    }
    // What came after it is rung with it, so it is no news any more.
    const due_ms = absence.type === 'waiting' ? absence.ms : 0
    const { inbox_id } = newestOf(entry)
    const candidate = { ...first, seq: Math.max(view.seq, first.seq), inbox_id }
    if (due_ms === 0) this.#given.freshViews.keep(candidate, { view, freshUntil })
    return [{ ...candidate, due_ms }]
  }
}
