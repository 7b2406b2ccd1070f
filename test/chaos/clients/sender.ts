import type { Message } from '../../../src/protocol/types.ts'
import type { SendRecord } from '../history/history.ts'
import { numberOf, textOf } from '../history/recorder.ts'
import type { Random } from '../random.ts'
import type { Campaign } from './campaign.ts'
import type { HttpAnswer } from './http-client.ts'
import type { Person, Society } from './people.ts'
import type { Session } from './session.ts'

const TIMEOUT_MS = 10_000
/** Beyond that many under way nothing new is begun. Those that wait for a silent node must not keep the others from being sent to. */
const MAX_UNDER_WAY = 1_500
/** Who is refused comes back later each time, up to so many times the first pause. */
const MAX_BACK_OFF = 4
const TICK_MS = 20

/** How many of each kind of send, in parts of all. */
export type SendMix = {
  single: number
  batch: number
  twice: number
  'key reused': number
  'given up': number
  /** By somebody who has been removed, if there is anybody. */
  'from outside': number
}
const MIX: SendMix = { single: 70, batch: 2, twice: 5, 'key reused': 3, 'given up': 3, 'from outside': 2 }
const BATCH_SIZE = 8

type Target = { session: Session; sender: Person; conversation: string }

/** Sends as many messages as its pace says, and repeats each with its key until it is answered. */
export class Senders {
  readonly #campaign: Campaign
  readonly #society: Society
  readonly #random: Random
  readonly #mix: SendMix
  readonly #underWay = new Set<Promise<void>>()

  constructor(campaign: Campaign, society: Society, mix: SendMix = MIX) {
    this.#campaign = campaign
    this.#society = society
    this.#random = campaign.random.fork('senders')
    this.#mix = mix
  }

  /** Runs until the campaign stops, and until all that was begun has an outcome. */
  async run(perSecond: number): Promise<void> {
    let owed = 0
    let last = performance.now()
    while (!this.#campaign.running.aborted) {
      const now = performance.now()
      owed = Math.min(owed + ((now - last) * perSecond) / 1_000, perSecond)
      last = now
      for (; owed >= 1 && this.#underWay.size < MAX_UNDER_WAY; owed -= 1) owed -= this.#begin() - 1
      await this.#campaign.pause(TICK_MS)
    }
    await Promise.all(this.#underWay)
  }

  /** Returns how many sends it began. */
  #begin(): number {
    const kind = this.#random.weighted(this.#mix)
    const target = this.#target(kind === 'from outside')
    if (kind === 'batch') return this.#keep(this.#batch(target), BATCH_SIZE)
    if (kind === 'twice') return this.#keep(this.#twice(target), 1)
    if (kind === 'key reused') return this.#keep(this.#reuseKey(target), 2)
    if (kind === 'given up') return this.#keep(this.#giveUp(target), 1)
    return this.#keep(this.#untilAnswered(target, this.#record(target)), 1)
  }

  #keep(work: Promise<void>, sends: number): number {
    const kept = work.catch((error: Error) => {
      this.#campaign.recorder.anomaly('a send had no answer to the end', String(error.stack))
    })
    this.#underWay.add(kept)
    void kept.then(() => this.#underWay.delete(kept))
    return sends
  }

  #target(isOutside: boolean): Target {
    const { rooms } = this.#society
    const left = isOutside ? rooms.filter((room) => room.members.size < room.founders.length) : []
    const room = this.#random.pick(left.length > 0 ? left : rooms)
    const absent = room.founders.filter((person) => !room.members.has(person))
    const sender = this.#random.pick(isOutside && absent.length > 0 ? absent : [...room.members])
    return { sender, session: this.#random.pick(sender.devices).session, conversation: room.id }
  }

  #record({ sender, conversation }: Target, key: string = crypto.randomUUID()): SendRecord {
    const now = performance.now()
    const record: SendRecord = {
      text: this.#campaign.recorder.nextText(),
      key,
      sender: sender.id,
      conversation,
      startedAt: now,
      triedAt: now,
      endedAt: Number.NaN,
      tries: 0,
      outcome: 'unknown',
      status: 0,
      answers: [],
    }
    this.#campaign.recorder.sends.push(record)
    return record
  }

  async #untilAnswered({ session }: Target, record: SendRecord): Promise<void> {
    let node = this.#random.below(this.#campaign.nodeCount)
    for (let pauses = 1; !(await this.#try(session, record, node, TIMEOUT_MS)); pauses += 1) {
      this.#campaign.patience.throwIfAborted()
      await this.#campaign.pause(this.#random.between(100, 500) * Math.min(pauses, MAX_BACK_OFF))
      node = this.#campaign.otherNode(node, this.#random)
    }
  }

  /** On two nodes at once; both answers are recorded. */
  async #twice(target: Target): Promise<void> {
    const record = this.#record(target)
    await Promise.all([this.#untilAnswered(target, record), this.#untilAnswered(target, record)])
  }

  /** The same key for another text: one of the two is refused. */
  async #reuseKey(target: Target): Promise<void> {
    const record = this.#record(target)
    const other = this.#record(target, record.key)
    if (this.#random.chance(0.5)) await this.#untilAnswered(target, record)
    await Promise.all([this.#untilAnswered(target, record), this.#untilAnswered(target, other)])
  }

  /** Goes away before it can know. */
  async #giveUp(target: Target): Promise<void> {
    const node = this.#random.below(this.#campaign.nodeCount)
    await this.#try(target.session, this.#record(target), node, this.#random.between(1, 60))
  }

  /** True if this send has its outcome. */
  async #try(session: Session, record: SendRecord, node: number, timeoutMs: number): Promise<boolean> {
    record.tries += 1
    const triedAt = performance.now()
    const body = { text: textOf(record.text) }
    const path = `/v1/conversations/${record.conversation}/messages`
    const request = { method: 'POST', path, body, key: record.key, node, isSend: true, timeoutMs }
    const answer = await session.ask(request).catch(() => undefined)
    return answer !== undefined && this.#settle(record, answer, triedAt)
  }

  #settle(record: SendRecord, { status, headers, body }: HttpAnswer, triedAt: number): boolean {
    if (status >= 500 || status === 429 || status === 409 || status === 408) return false
    const message = status < 300 ? (body as Message) : undefined
    settleSend(record, { status, message, replayed: headers['idempotent-replayed'] === 'true', triedAt })
    return true
  }

  async #batch(target: Target): Promise<void> {
    const records = Array.from({ length: BATCH_SIZE }, () => this.#record(target))
    const messages = records.map(({ conversation, text, key }) => {
      return { conversation_id: conversation, text: textOf(text), client_id: key }
    })
    for (const record of records) record.tries += 1
    const triedAt = performance.now()
    const node = this.#random.below(this.#campaign.nodeCount)
    const request = { method: 'POST', path: '/v1/messages', body: { messages }, node, isSend: true }
    const answer = await target.session.ask({ ...request, timeoutMs: TIMEOUT_MS }).catch(() => undefined)
    const results = (answer?.status === 200 && (answer.body as { results: BatchResult[] }).results) || []
    const rest = records.filter((record, index) => {
      const result = results[index]
      if (!result || result.status >= 500) return true
      settleSend(record, { ...result, replayed: result.status === 200, triedAt })
      return false
    })
    await Promise.all(rest.map((record) => this.#untilAnswered(target, record)))
  }
}

type BatchResult = { status: number; message?: Message | undefined }

function settleSend(
  record: SendRecord,
  { status, message, replayed, triedAt }: BatchResult & { replayed: boolean; triedAt: number },
): void {
  if (message) {
    const { id, seq, conversation_id } = message
    record.answers.push({ id, seq, conversation: conversation_id, text: numberOf(message.text), replayed })
  }
  // Sent twice at once, the first good answer counts.
  if (record.outcome === 'ok') return
  record.status = status
  record.endedAt = performance.now()
  if (status < 300) {
    record.outcome = 'ok'
    record.triedAt = triedAt
  } else record.outcome = record.tries === 1 ? 'refused' : 'unknown'
}
