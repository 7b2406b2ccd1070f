import type { Message } from '../../../src/protocol/types.ts'
import type { ConversationRecord } from '../history/history.ts'
import { numberOf } from '../history/recorder.ts'
import type { Campaign } from './campaign.ts'
import { Churn } from './churn.ts'
import { Marks } from './marks.ts'
import type { Society } from './people.ts'
import { Senders, type SendMix } from './sender.ts'
import { SignOuts } from './sign-outs.ts'

/** How much a crowd does: sends per second; ms between two of the others. Undefined: never. */
export type Activity = {
  sendsPerSecond: number
  mix?: SendMix
  churnEveryMs?: number
  marksEveryMs?: number
  signOutsEveryMs?: number
}

/** Everybody in a campaign, doing what people do until it stops. */
export class Crowd {
  readonly #campaign: Campaign
  readonly #society: Society

  constructor(campaign: Campaign, society: Society) {
    this.#campaign = campaign
    this.#society = society
  }

  /** Resolves when the campaign has stopped and everything begun has an outcome. */
  async run({ sendsPerSecond, mix, churnEveryMs, marksEveryMs, signOutsEveryMs }: Activity): Promise<void> {
    const parts = [new Senders(this.#campaign, this.#society, mix).run(sendsPerSecond)]
    for (const { devices } of this.#society.people) for (const device of devices) parts.push(device.run())
    if (churnEveryMs) parts.push(new Churn(this.#campaign, this.#society).run(churnEveryMs))
    if (marksEveryMs) parts.push(new Marks(this.#campaign, this.#society).run(marksEveryMs))
    if (signOutsEveryMs) parts.push(new SignOuts(this.#campaign, this.#society).run(signOutsEveryMs))
    await Promise.all(parts)
  }

  /** Once all is healed: everybody reads on until nothing more comes, then history is read. */
  async conclude(): Promise<void> {
    const devices = this.#society.people.flatMap((person) => person.devices)
    for (let seen = -1; ; ) {
      for (const device of devices) await device.readToHead()
      const now = devices.reduce((sum, { reader }) => sum + reader.log.length, 0)
      if (now === seen) break
      // What a node had under way when its caller left may be committed still.
      seen = now
      await this.#campaign.pause(1_000)
    }
    for (const record of this.#campaign.recorder.conversations) await this.#readHistory(record)
  }

  async #readHistory(record: ConversationRecord): Promise<void> {
    const witness = this.#society.people.find((person) => person.id === record.witness)
    const session = witness?.devices[0]?.session
    if (!session) throw new Error('a conversation has no witness')
    for (let last = 0, hasMore = true; hasMore; ) {
      const path = `/v1/conversations/${record.id}/messages?after_seq=${last}&limit=200`
      const { answer } = await session.askUntil({ method: 'GET', path })
      const page = answer.body as { messages: Message[]; has_more: boolean }
      for (const { seq, sender_id, text, id } of page.messages) {
        record.messages.push({ seq, sender: sender_id ?? '', text: numberOf(text), id })
        last = seq
      }
      hasMore = page.has_more
    }
  }
}
