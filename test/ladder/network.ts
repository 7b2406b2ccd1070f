import type { Effect, Input } from '../../src/client/ladder/draft.ts'
import type { Box, Form, Random } from './box.ts'
import type { Clock } from './clock.ts'

type Open = Extract<Effect, { type: 'open' }>
/** What a server writes at once, as the inputs that it causes. */
type Write = { signs: Input[]; isEnd?: boolean }
type Connection = {
  attempt: number
  after: number
  form: Form
  since: number
  quietSince: number
  held: Write[]
  isGone: boolean
  /** Told of each new event, and when the server ends. */
  wake(): void
}

/** A server that follows the protocol, and a box in front of it, in virtual time. */
export class Network {
  head = 0
  box: Box
  /** `refused`: nobody listens; `lost`: packets vanish. */
  state: 'up' | 'refused' | 'lost' = 'up'
  readonly #clock: Clock
  readonly #random: Random
  readonly #receive: (input: Input) => void
  readonly #connections = new Set<Connection>()

  constructor(clock: Clock, random: Random, box: Box, receive: (input: Input) => void) {
    this.#clock = clock
    this.#random = random
    this.box = box
    this.#receive = receive
  }

  commit(): void {
    this.head += 1
    for (const connection of [...this.#connections]) connection.wake()
  }

  /** A restart of the server: streams are told, or everything is reset. */
  restart(downMs: number, isKind: boolean): void {
    for (const connection of [...this.#connections]) {
      const { attempt } = connection
      const bye: Input = { type: 'bye', attempt, reason: 'draining', retryMs: 1_000 + this.#random() * 2_000 }
      if (isKind && connection.form !== 'poll') this.#pass(connection, { signs: [bye], isEnd: true })
      else this.#cut(connection)
    }
    this.outage('refused', downMs)
  }

  outage(state: 'refused' | 'lost', ms: number): void {
    this.state = state
    if (state === 'lost') for (const connection of this.#connections) connection.isGone = true
    this.#clock.after(ms, () => {
      this.state = 'up'
    })
  }

  open({ attempt, rung, wait, limit, isPost }: Open, after: number): void {
    const form: Form = rung === 'sse' ? 'sse' : rung.startsWith('sse') ? 'octet' : 'poll'
    const { now } = this.#clock
    const connection = {
      attempt,
      after,
      form,
      since: now,
      quietSince: now,
      held: [],
      isGone: false,
      wake() {},
    }
    this.#connections.add(connection)
    if (this.#random() < this.box.swallows) return
    // A native event stream is always a GET.
    const isGet = !isPost || rung === 'sse'
    this.#clock.after(this.box.latency, () => this.#arrive(connection, { rung, wait, limit, isGet }))
  }

  close(attempt: number): void {
    for (const each of this.#connections) if (each.attempt === attempt) this.#connections.delete(each)
  }

  #arrive(
    connection: Connection,
    { rung, wait, limit, isGet }: Pick<Open, 'rung' | 'wait' | 'limit'> & { isGet: boolean },
  ): void {
    const { box } = this
    if (this.state === 'lost' || !this.#connections.has(connection)) return
    if (this.state === 'refused') {
      this.#cut(connection)
      return
    }
    const isRefused = box.refuses.includes(connection.form) || (box.refusesGets && isGet)
    if (isRefused || this.#random() < box.nonsense) {
      this.#tell(connection, { type: 'failed', attempt: connection.attempt, fault: 'refused', reason: '403' })
      return
    }
    if (Number.isFinite(box.cutAge)) this.#clock.after(box.cutAge, () => this.#cut(connection))
    if (connection.form === 'poll') this.#servePoll(connection, wait * 1_000)
    else this.#serveStream(connection, rung === 'sse-slices' ? limit : undefined)
  }

  #servePoll(connection: Connection, waitMs: number): void {
    const { attempt, after } = connection
    const answer = () => {
      const highest = Math.min(this.head, after + 100)
      const signs: Input[] = []
      for (let id = after + 1; id <= highest; id++) signs.push({ type: 'event', attempt, id, lagMs: 0 })
      signs.push({
        type: 'answered',
        attempt,
        highest,
        events: highest - after,
        hasMore: highest < this.head,
      })
      connection.wake = () => {}
      this.#pass(connection, { signs, isEnd: true })
    }
    if (this.head > after || waitMs === 0) {
      answer()
      return
    }
    connection.wake = answer
    this.#clock.after(waitMs, () => {
      if (connection.wake === answer) answer()
    })
  }

  #serveStream(connection: Connection, limit: number | undefined): void {
    const { attempt } = connection
    let sent = connection.after
    const write = (signs: Input[]) => this.#pass(connection, { signs })
    const end = () => this.#pass(connection, { signs: [{ type: 'ended', attempt }], isEnd: true })
    write([{ type: 'hello', attempt, heartbeatMs: 7_000 }])
    write([{ type: 'sign', attempt }])
    connection.wake = () => {
      if (limit !== undefined && sent === connection.after) this.#clock.after(100, end)
      while (sent < this.head) write([{ type: 'event', attempt, id: ++sent, lagMs: 0 }])
      lastWrite = this.#clock.now
    }
    let lastWrite = this.#clock.now
    const beat = () => {
      if (!this.#connections.has(connection)) return
      if (this.#clock.now - lastWrite >= 7_000) write([{ type: 'sign', attempt }])
      this.#clock.after(7_000, beat)
    }
    this.#clock.after(7_000, beat)
    if (limit !== undefined) this.#clock.after(20_000, end)
    if (sent < this.head) connection.wake()
  }

  /** What the server writes, through the box. */
  #pass(connection: Connection, write: Write): void {
    const { box } = this
    const { now } = this.#clock
    if (connection.isGone || !this.#connections.has(connection)) return
    if (now - connection.quietSince > box.idleDrop || this.state === 'lost') {
      connection.isGone = true
      return
    }
    connection.quietSince = now
    if (this.#random() < box.cutChance) {
      this.#cut(connection)
      return
    }
    connection.held.push(write)
    const isStream = connection.form !== 'poll'
    const holds =
      isStream && (box.holds.includes(connection.form) || (box.holdsLater && now > connection.since + 5_000))
    if (holds && !write.isEnd) return
    const keep = isStream && box.isOneBehind && !write.isEnd ? 1 : 0
    const passed = connection.held.splice(0, connection.held.length - keep)
    if (write.isEnd) connection.isGone = true
    this.#clock.after(box.latency, () => {
      for (const { signs } of passed) for (const sign of signs) this.#tell(connection, sign)
      if (write.isEnd) this.#connections.delete(connection)
    })
  }

  #cut(connection: Connection): void {
    if (connection.isGone) return
    connection.isGone = true
    const { attempt } = connection
    this.#clock.after(this.box.latency, () =>
      this.#tell(connection, { type: 'failed', attempt, fault: 'broken', reason: 'reset' }),
    )
  }

  #tell(connection: Connection, input: Input): void {
    if (!this.#connections.has(connection)) return
    if (input.type === 'failed') this.#connections.delete(connection)
    this.#receive(input)
  }
}
