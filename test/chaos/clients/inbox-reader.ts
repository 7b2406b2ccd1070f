import type { Message } from '../../../src/protocol/types.ts'
import type { Connection, DeviceLog, Transport } from '../history/device-log.ts'
import { numberOf } from '../history/recorder.ts'
import type { Campaign } from './campaign.ts'
import type { Frame } from './frames.ts'

type WireEvent = {
  /** Null for what passes: it is in no log, so nothing is promised of it. */
  id: number | null
  type: string
  conversation_id?: string
  user_id?: string
  seq?: number
  message?: Message
}
export type PollBody = { cursor: string; events: WireEvent[]; has_more: boolean; reset?: string }

/** What a device remembers between two requests, which is its cursor alone, and writes down of what it is told. */
export class InboxReader {
  cursor: string
  readonly log: DeviceLog
  /** The last message seen of each conversation, for read marks. */
  readonly #lastSeqs = new Map<string, number>()
  readonly #campaign: Campaign

  /** Begins at `cursor`: '0' is the oldest event, '' where the server thinks right. */
  constructor(campaign: Campaign, log: DeviceLog, cursor = '0') {
    this.#campaign = campaign
    this.log = log
    this.cursor = cursor
  }

  lastSeqOf(conversation: string): number {
    return this.#lastSeqs.get(conversation) ?? 0
  }

  /** Writes down a request for events that is about to be sent. */
  begin(transport: Transport, node: number): Connection {
    const now = performance.now()
    const begun: Connection = {
      transport,
      node,
      sentAt: now,
      openedAt: Number.NaN,
      heardAt: now,
      endedAt: Number.NaN,
      isSlow: false,
      end: 'open',
    }
    this.log.connections.push(begun)
    return begun
  }

  end(connection: Connection, end: Connection['end']): void {
    if (connection.end !== 'open') return
    connection.end = end
    connection.endedAt = performance.now()
  }

  /** A frame of a stream. Returns true if the server is about to end it. */
  takeFrame(frame: Frame): boolean {
    try {
      this.#takeWhole(frame)
    } catch (error) {
      this.#anomaly('a frame of a stream cannot be read', `${error}: ${JSON.stringify(frame)}`)
    }
    return frame.event === 'bye'
  }

  #takeWhole(frame: Frame): void {
    if (frame.event === '') {
      if (frame.data !== '') this.#takeEvent(JSON.parse(frame.data), frame.id)
    } else if (frame.event === 'hello') this.#takeHello(frame.id)
    else if (frame.event === 'reset') this.#reset(JSON.parse(frame.data).reason, frame.id)
    else if (frame.event === 'heartbeat') this.#takeHeartbeat(JSON.parse(frame.data).head)
  }

  /** The answer to a poll that asked from our cursor. */
  takePoll(body: PollBody): void {
    if (body.reset !== undefined) {
      this.#reset(body.reset, body.cursor)
      return
    }
    const [epoch = ''] = body.cursor.split('-')
    const asked = this.cursor
    for (const event of body.events) this.#takeEvent(event, event.id === null ? '' : `${epoch}-${event.id}`)
    const isFirst = asked === '0' && body.events.every(({ id }) => id === null)
    if (!isFirst && body.cursor !== this.cursor) {
      this.#anomaly('a poll names a cursor that is not what it gave', `${body.cursor}, not ${this.cursor}`)
    }
    this.cursor = body.cursor
  }

  #takeHello(cursor: string): void {
    if (
      this.cursor.includes('-') &&
      cursor !== this.cursor &&
      this.#epochOf(cursor) === this.#epochOf(this.cursor)
    ) {
      this.#anomaly('a stream begins elsewhere', `at ${cursor}, asked for ${this.cursor}`)
    }
    if (!this.cursor.includes('-')) this.cursor = cursor
  }

  /** What it says the stream has been sent, or more. */
  #takeHeartbeat(head: string): void {
    const isSameLife = this.#epochOf(head) === this.#epochOf(this.cursor)
    if (isSameLife && this.#idOf(head) < this.#idOf(this.cursor)) {
      this.#anomaly('a heartbeat knows less than was sent', `${head}, but sent was ${this.cursor}`)
    }
  }

  #reset(reason: string, cursor: string): void {
    this.log.resets.push({ at: performance.now(), reason, cursor })
    this.cursor = cursor
  }

  #takeEvent(event: WireEvent, cursor: string): void {
    if (event.id === null) {
      if (cursor !== '') this.#anomaly('what passes moves a cursor', cursor)
      return
    }
    this.cursor = cursor
    if (!cursor.endsWith(`-${event.id}`)) this.#anomaly('an id is not its cursor', `${event.id}, ${cursor}`)
    const { message } = event
    if (message) this.#lastSeqs.set(message.conversation_id, message.seq)
    this.log.add({
      id: event.id,
      type: event.type,
      conversation: event.conversation_id ?? '',
      seq: message?.seq ?? event.seq ?? -1,
      text: numberOf(message?.text),
      user: message?.sender_id ?? event.user_id ?? '',
      at: performance.now(),
    })
  }

  #epochOf(cursor: string): string {
    return cursor.slice(0, cursor.indexOf('-'))
  }

  #idOf(cursor: string): number {
    return Number(cursor.slice(cursor.indexOf('-') + 1))
  }

  #anomaly(what: string, detail: string): void {
    this.#campaign.recorder.anomaly(what, `${this.log.name}: ${detail}`)
  }
}
