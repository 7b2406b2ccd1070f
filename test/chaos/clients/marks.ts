import type { Conversation } from '../../../src/protocol/types.ts'
import type { MarkRecord } from '../history/history.ts'
import type { Random } from '../random.ts'
import type { Campaign } from './campaign.ts'
import type { Device } from './device.ts'
import type { PollBody } from './inbox-reader.ts'
import type { Society } from './people.ts'

/** Moves read marks and stored cursors forth, tries to move them back, and looks where they are. */
export class Marks {
  readonly #campaign: Campaign
  readonly #society: Society
  readonly #random: Random

  constructor(campaign: Campaign, society: Society) {
    this.#campaign = campaign
    this.#society = society
    this.#random = campaign.random.fork('marks')
  }

  async run(everyMs: number): Promise<void> {
    while (!this.#campaign.running.aborted) {
      const room = this.#random.pick(this.#society.rooms)
      const device = this.#random.pick(this.#random.pick([...room.members]).devices)
      if (this.#random.chance(0.5)) await this.#read(device, room.id)
      else await this.#acknowledge(device)
      await this.#campaign.pause(this.#random.between(0.5, 1.5) * everyMs)
    }
  }

  async #read({ session, reader }: Device, conversation: string): Promise<void> {
    const seq = this.#back(reader.lastSeqOf(conversation))
    if (seq < 1) return
    const records = this.#campaign.recorder.readMarks
    const of = `${session.user} ${conversation}`
    const path = `/v1/conversations/${conversation}`
    const mark = begun('acknowledged', of, seq)
    const { answer } = await session.askUntil({ method: 'PUT', path: `${path}/read`, body: { seq } })
    if (answer.status === 204) records.push(ended(mark))
    const look = begun('seen', of, 0)
    const { answer: now } = await session.askUntil({ method: 'GET', path })
    if (now.status === 200) records.push(ended({ ...look, value: (now.body as Conversation).read_seq }))
  }

  async #acknowledge({ session, reader }: Device): Promise<void> {
    const { cursor } = reader
    const [epoch, id] = cursor.split('-')
    if (id === undefined) return
    const records = this.#campaign.recorder.storedCursors
    const value = this.#back(Number(id))
    const mark = begun('acknowledged', session.deviceId, value)
    const path = '/v1/devices/current/cursor'
    const body = { cursor: `${epoch}-${value}` }
    const { answer } = await session.askUntil({ method: 'PUT', path, body })
    if (answer.status === 204) records.push(ended(mark))
    const look = begun('seen', session.deviceId, 0)
    const { answer: now } = await session.askUntil({
      method: 'GET',
      path: '/v1/events?as=poll&wait=0&limit=1',
    })
    if (now.status !== 200) return
    const { events, cursor: stored } = now.body as PollBody
    records.push(ended({ ...look, value: (events[0]?.id ?? Number(stored.split('-')[1]) + 1) - 1 }))
  }

  /** Now and then an old position, as of a request that was long under way. */
  #back(value: number): number {
    return this.#random.chance(0.3) ? Math.floor(value * this.#random.unit()) : value
  }
}

function begun(kind: MarkRecord['kind'], of: string, value: number): MarkRecord {
  return { kind, of, value, startedAt: performance.now(), endedAt: Number.NaN }
}

function ended(mark: MarkRecord): MarkRecord {
  return { ...mark, endedAt: performance.now() }
}
