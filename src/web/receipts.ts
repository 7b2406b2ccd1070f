import type { PassingFields } from '../protocol/passing.ts'
import type { Member, Message } from '../protocol/types.ts'
import { get } from './api.ts'

type ReceiptEvent = Extract<PassingFields, { type: 'receipt.read' }>

/** How far others have read, in the conversations that were opened. */
export class Receipts {
  readonly #me: string
  readonly #changed: () => void
  /** Per conversation the furthest mark of another member. */
  readonly #marks = new Map<string, number>()

  constructor(me: string, changed: () => void) {
    this.#me = me
    this.#changed = changed
  }

  /** Whether anybody else has read it. */
  reads({ conversation_id, seq }: Message): boolean {
    return seq <= (this.#marks.get(conversation_id) ?? 0)
  }

  put({ conversation_id, seq }: ReceiptEvent): void {
    this.#move(conversation_id, seq)
  }

  /** From here on this conversation's marks are known. */
  want(conversation: string): void {
    if (!this.#marks.has(conversation)) this.#marks.set(conversation, 0)
    void this.#load(conversation)
  }

  /** Reads again what may have been missed. */
  refresh(): void {
    for (const conversation of this.#marks.keys()) void this.#load(conversation)
  }

  async #load(conversation: string): Promise<void> {
    try {
      const { members } = await get<{ members: Member[] }>(`/v1/conversations/${conversation}/members`)
      const marks = members.filter(({ user_id }) => user_id !== this.#me).map(({ read_seq }) => read_seq)
      this.#move(conversation, Math.max(0, ...marks))
    } catch {
      // Ticks are nice to have; the next receipt says more.
    }
  }

  #move(conversation: string, seq: number): void {
    if (seq <= (this.#marks.get(conversation) ?? 0)) return
    this.#marks.set(conversation, seq)
    this.#changed()
  }
}
