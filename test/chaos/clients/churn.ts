import type { MembershipRecord } from '../history/history.ts'
import type { Random } from '../random.ts'
import type { Campaign } from './campaign.ts'
import type { Person, Room, Society } from './people.ts'
import type { Session } from './session.ts'

/** Less than this part of the founders is never left in a group. */
const MIN_PRESENT = 0.7
/** A change that waits for a broken node must not hold up all others. */
const LANES = 4

/** Removes members and adds them again while others send. */
export class Churn {
  readonly #campaign: Campaign
  readonly #groups: readonly Room[]
  readonly #random: Random

  constructor(campaign: Campaign, society: Society) {
    this.#campaign = campaign
    this.#groups = society.rooms.filter((room) => room.kind === 'group' && room.founders.length > 2)
    this.#random = campaign.random.fork('churn')
  }

  /** Changes a membership about every `everyMs` until the campaign stops; in one group one after the other. */
  async run(everyMs: number): Promise<void> {
    const lanes = Array.from({ length: LANES }, (_, lane) =>
      this.#groups.filter((_, n) => n % LANES === lane),
    )
    await Promise.all(lanes.map((groups) => this.#lane(groups, everyMs * LANES)))
  }

  async #lane(groups: readonly Room[], everyMs: number): Promise<void> {
    while (!this.#campaign.running.aborted && groups.length > 0) {
      await this.#change(this.#random.pick(groups))
      await this.#campaign.pause(this.#random.between(0.5, 1.5) * everyMs)
    }
  }

  async #change(room: Room): Promise<void> {
    const absent = room.founders.filter((person) => !room.members.has(person))
    const mayRemove = room.members.size - 1 >= room.founders.length * MIN_PRESENT
    const isRemoval = absent.length === 0 || (mayRemove && this.#random.chance(0.5))
    const present = [...room.members].filter((person) => person !== room.owner)
    const person = this.#random.pick(isRemoval ? present : absent)
    const record: MembershipRecord = {
      conversation: room.id,
      user: person.id,
      kind: isRemoval ? 'remove' : 'add',
      startedAt: performance.now(),
      endedAt: Number.NaN,
      outcome: 'unknown',
    }
    this.#campaign.recorder.memberships.push(record)
    if (isRemoval) room.members.delete(person)
    const { session } = this.#random.pick(room.owner.devices)
    const path = `/v1/conversations/${room.id}/members/${person.id}`
    const method = isRemoval ? 'DELETE' : 'PUT'
    const { answer, tries } = await session.askUntil({ method, path, ...(!isRemoval && { body: {} }) })
    // A repeated removal finds nobody to remove.
    const isDone = answer.status < 300 || (isRemoval && tries > 1 && answer.status === 404)
    if (!isDone)
      this.#campaign.recorder.anomaly(`${method} of a member: ${answer.status}`, JSON.stringify(answer.body))
    record.endedAt = performance.now()
    record.outcome = 'ok'
    if (isRemoval) await this.#tryTheDoor(room, person)
    else room.members.add(person)
  }

  /** Who was removed finds no such conversation, on any node. */
  async #tryTheDoor(room: Room, person: Person): Promise<void> {
    const { session } = this.#random.pick(person.devices)
    const path = `/v1/conversations/${room.id}/messages?limit=3`
    const { answer } = await session.askUntil({ method: 'GET', path })
    if (answer.status !== 404) this.#anomaly(`history for a removed member: ${answer.status}`, session, path)
  }

  #anomaly(what: string, session: Session, detail: string): void {
    this.#campaign.recorder.anomaly(what, `${session.user}: ${detail}`)
  }
}
