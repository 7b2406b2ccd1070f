import type { Transport } from '../history/device-log.ts'
import type { Random } from '../random.ts'
import type { Campaign } from './campaign.ts'
import { EventStream, HEARTBEAT_S } from './event-stream.ts'
import { InboxReader, type PollBody } from './inbox-reader.ts'
import type { Session } from './session.ts'

const TRANSPORTS = { sse: 40, octet: 10, slice: 15, 'long-poll': 20, poll: 15 } as const
/** Seconds that a long-poll waits, and by how much it is given up later. */
const WAIT_S = 5
const POLL_GRACE_MS = 5_000
const STAY_MS = { low: 3_000, high: 15_000 }

/** How a device reads, if not at random. */
export type Habits = { transports?: Readonly<Partial<Record<Transport, number>>>; stayMs?: typeof STAY_MS }

/** A device that reads its inbox, hopping between nodes and transports, and keeps nothing but the cursor. */
export class Device {
  readonly session: Session
  readonly reader: InboxReader
  readonly #campaign: Campaign
  readonly #random: Random
  readonly #habits: Habits
  #node: number

  constructor(campaign: Campaign, session: Session, name: string, habits: Habits = {}) {
    this.#campaign = campaign
    this.session = session
    this.reader = new InboxReader(campaign, campaign.recorder.device(session.user, name))
    this.#random = campaign.random.fork(name)
    this.#habits = habits
    this.#node = this.#random.below(campaign.nodeCount)
  }

  /** Reads until the campaign stops running. */
  async run(): Promise<void> {
    const weights = {
      sse: 0,
      octet: 0,
      slice: 0,
      'long-poll': 0,
      poll: 0,
      ...(this.#habits.transports ?? TRANSPORTS),
    }
    while (!this.#campaign.running.aborted) {
      const transport = this.#random.weighted(weights)
      const { low, high } = this.#habits.stayMs ?? STAY_MS
      const until = performance.now() + this.#random.between(low, high)
      const went = await this.#read(transport, until)
      if (!went) await this.#campaign.pause(this.#random.between(50, 300))
      const { nodeCount } = this.#campaign
      // Whoever was let down goes elsewhere, as a client with several addresses does.
      this.#node = went ? this.#random.below(nodeCount) : this.#campaign.otherNode(this.#node, this.#random)
    }
  }

  /** Reads on by polls until there is nothing more. */
  async readToHead(): Promise<void> {
    for (;;) {
      const body = await this.#pollOnce('poll', 0)
      if (body && !body.has_more && body.events.length === 0) return
      if (!body) {
        this.#campaign.patience.throwIfAborted()
        await this.#campaign.pause(200)
        this.#node = this.#campaign.otherNode(this.#node, this.#random)
      }
    }
  }

  /** False if it broke. */
  async #read(transport: Transport, until: number): Promise<boolean> {
    if (transport === 'sse' || transport === 'octet') return this.#stream(transport, until)
    while (performance.now() < until && !this.#campaign.running.aborted) {
      if (transport === 'slice') {
        if (!(await this.#stream(transport, until + 20_000))) return false
        continue
      }
      const body = await this.#pollOnce(transport, transport === 'poll' ? 0 : WAIT_S)
      if (!body) return false
      const pause = transport === 'poll' ? this.#random.between(300, 900) : this.#random.between(50, 400)
      if (!body.has_more) await this.#campaign.pause(pause)
    }
    return true
  }

  async #stream(transport: Transport, until: number): Promise<boolean> {
    const form = transport === 'octet' ? 'octet' : 'sse'
    const limit = transport === 'slice' ? `&limit=${1 + this.#random.below(40)}` : ''
    const url = `${this.#url}?as=${form}&heartbeat=${HEARTBEAT_S}&after=0${limit}`
    const connection = this.reader.begin(transport, this.#node)
    const stream = new EventStream(this.reader, connection, url, this.session.accessToken)
    const hop = setTimeout(() => stream.end('hopped'), until - performance.now())
    const stop = () => stream.end('hopped')
    this.#campaign.running.addEventListener('abort', stop)
    const stall = this.#random.chance(0.05) ? this.#stall(stream) : undefined
    const status = await stream.ended
    clearTimeout(hop)
    clearTimeout(stall)
    this.#campaign.running.removeEventListener('abort', stop)
    if (status === 401) await this.session.renew()
    return connection.end === 'hopped' || connection.end === 'answered'
  }

  /** Now and then a device stops reading its socket for a while. */
  #stall(stream: EventStream): NodeJS.Timeout {
    const pauseMs = this.#random.between(2_000, 8_000)
    return setTimeout(() => {
      stream.stopReading()
      setTimeout(() => stream.readOn(), pauseMs)
    }, 1_000)
  }

  /** Undefined if there was no good answer. */
  async #pollOnce(transport: 'poll' | 'long-poll', waitS: number): Promise<PollBody | undefined> {
    const limit = this.#random.chance(0.3) ? `&limit=${1 + this.#random.below(60)}` : '&limit=500'
    const connection = this.reader.begin(transport, this.#node)
    const url = `${this.#url}?as=poll&wait=${waitS}&after=${this.reader.cursor}${limit}`
    const token = this.session.accessToken
    const request = { method: 'GET', url, token, timeoutMs: waitS * 1_000 + POLL_GRACE_MS }
    const signal = transport === 'long-poll' ? this.#campaign.running : undefined
    try {
      const answer = await this.#campaign.http.call({ ...request, signal })
      this.#campaign.judgeAnswer(answer, `GET /v1/events as ${transport}`)
      connection.heardAt = performance.now()
      if (answer.status === 200) connection.openedAt = connection.heardAt
      this.reader.end(connection, answer.status === 200 ? 'answered' : 'refused')
      if (answer.status === 401) await this.session.renew()
      if (answer.status !== 200) return undefined
      const body = answer.body as PollBody
      this.reader.takePoll(body)
      return body
    } catch (error) {
      const isSilent = (error as Error).message === 'no answer in time'
      this.reader.end(connection, signal?.aborted ? 'hopped' : isSilent ? 'silent' : 'broken')
      return undefined
    }
  }

  get #url(): string {
    return `${this.#campaign.addressOf(this.#node)}/v1/events`
  }
}
