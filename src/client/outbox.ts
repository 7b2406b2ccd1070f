import type { Data, Message } from '../protocol/types.ts'
import { type Answer, mayMend, parseJson } from './answers.ts'
import { batchOf, sendItems } from './batch.ts'
import { newKey } from './new-key.ts'
import { Patience } from './patience.ts'
import { pause } from './pause.ts'
import type { Requests } from './requests.ts'
import type { ClientStorage } from './storage.ts'

/** A message on its way. `key` is its Idempotency-Key, for ever: however often it is sent, it is one message. */
export type OutboxItem = {
  readonly key: string
  readonly conversation_id: string
  readonly text: string
  readonly reply_to?: number | undefined
  readonly data?: Data | undefined
  /** Grows in the order of sending. */
  readonly order: number
  /** Why the server will not have it; without this it is pending. */
  readonly failed?: { code: string; reason: string } | undefined
}

export type SendOptions = Pick<OutboxItem, 'reply_to' | 'data'>

/** The server will not have this message, and sending it again will not mend that. */
export class SendError extends Error {
  readonly status: number
  /** Of the problem, such as `not_found` or `blocked`; `discarded` if it was taken back, `closed` if it is left for the next time. */
  readonly code: string

  constructor(status: number, code: string, reason = code) {
    super(reason)
    this.name = 'SendError'
    this.status = status
    this.code = code
  }
}

/** Sending waits no longer than this for a message to be stored. */
const KEEP_MS = 200
/** Nor longer than this for what was left behind: a store may hang, and somebody be unknown. */
const LOAD_MS = 4_000

type Waiter = { resolve(message: Message): void; reject(error: SendError): void }

/** Messages on their way, one request at a time per conversation, each sent with its key until it is answered. */
export class Outbox {
  readonly #requests: Requests
  readonly #storage: ClientStorage
  /** Resolves when it is known whose messages these are. */
  readonly #prefix: Promise<string>
  readonly #changed: (committed?: Message) => void
  readonly #items = new Map<string, OutboxItem>()
  readonly #waiters = new Map<string, Waiter>()
  readonly #draining = new Set<string>()
  readonly #patience = new Patience()
  readonly #closing = new AbortController()
  /** Resolves when what was left behind is here, or a store that hangs is waited for no longer. */
  readonly #loaded: Promise<unknown>
  #order = 0

  constructor(
    requests: Requests,
    storage: ClientStorage,
    prefix: Promise<string>,
    changed: (committed?: Message) => void,
  ) {
    this.#requests = requests
    this.#storage = storage
    this.#prefix = prefix
    this.#changed = changed
    const { signal } = this.#closing
    this.#loaded = Promise.race([this.#load().catch(() => {}), pause(LOAD_MS, signal)])
  }

  /** Pending and failed ones, in the order of sending. */
  get items(): OutboxItem[] {
    return [...this.#items.values()].sort((one, other) => one.order - other.order)
  }

  /** Goes on with what was left behind when the page was last open. */
  async #load(): Promise<void> {
    for (const name of await this.#storage.names(await this.#prefix)) {
      const item = parseJson((await this.#storage.get(name)) ?? '') as OutboxItem | undefined
      if (!item || this.#items.has(item.key)) continue
      this.#items.set(item.key, item)
      this.#order = Math.max(this.#order, item.order)
    }
    if (this.#items.size > 0) this.#changed()
    for (const { conversation_id } of this.items) void this.#drain(conversation_id)
  }

  /** Resolves when the message is committed; rejects with SendError when the server will not have it, or this is closed. */
  send(conversation_id: string, text: string, options: SendOptions): Promise<Message> {
    this.#order = Math.max(Date.now(), this.#order + 1)
    const item = { key: newKey(), conversation_id, text, ...options, order: this.#order }
    const sent = new Promise<Message>((resolve, reject) => {
      if (this.#closing.signal.aborted) throw closed()
      // Throws at what is no JSON.
      JSON.stringify(item)
      this.#waiters.set(item.key, { resolve, reject })
      void this.#put(item).then(() => this.#drain(conversation_id))
    })
    // Whoever does not wait for it sees it in the outbox.
    sent.catch(() => {})
    return sent
  }

  /** Sends a failed one again, with the same key. */
  retry(key: string): void {
    const item = this.#items.get(key)
    if (item?.failed)
      void this.#put({ ...item, failed: undefined }).then(() => this.#drain(item.conversation_id))
  }

  /** Takes one back; resolves when it is kept nowhere any more. If it is under way it may be committed all the same. */
  async discard(key: string): Promise<void> {
    const item = this.#items.get(key)
    if (!item) return
    this.#waiters.get(key)?.reject(new SendError(0, 'discarded'))
    this.#waiters.delete(key)
    this.hurry()
    await this.#drop(item)
  }

  /** A message was seen in the inbox. One of these is thereby answered, whoever sent it and whatever became of the answer. */
  committed(message: Message): void {
    const item = this.#items.get(message.client_id ?? '')
    if (!item) return
    void this.#drop(item, message)
    this.#waiters.get(item.key)?.resolve(message)
    this.#waiters.delete(item.key)
    this.hurry()
  }

  /** The network is back: whoever waits for better times tries now. */
  hurry(): void {
    this.#patience.hurry()
  }

  close(): void {
    this.#closing.abort()
    for (const { reject } of this.#waiters.values()) reject(closed())
    this.#waiters.clear()
  }

  async #put(item: OutboxItem): Promise<void> {
    this.#items.set(item.key, item)
    this.#changed()
    // A store that fails or dawdles costs the message its life after a reload, not its sending.
    const keep = async () => {
      const prefix = await this.#prefix
      if (this.#items.get(item.key) === item) await this.#storage.set(prefix + item.key, JSON.stringify(item))
    }
    await Promise.race([keep().catch(() => {}), pause(KEEP_MS)])
  }

  async #drop(item: OutboxItem, committed?: Message): Promise<void> {
    this.#items.delete(item.key)
    this.#changed(committed)
    await this.#prefix.then((prefix) => this.#storage.remove(prefix + item.key)).catch(() => {})
  }

  /** What waits goes together; what was not committed then goes alone, before anything behind it. */
  async #drain(conversation_id: string): Promise<void> {
    if (this.#draining.has(conversation_id)) return
    this.#draining.add(conversation_id)
    const { signal } = this.#closing
    await this.#loaded
    for (let tries = 0; !signal.aborted; ) {
      const waiting = this.items.filter((item) => item.conversation_id === conversation_id && !item.failed)
      if (waiting.length === 0) break
      const items = tries > 0 ? waiting.slice(0, 1) : batchOf(waiting)
      const answers = await sendItems(this.#requests, items, { isRetry: tries > 0, signal })
      const isDone = await this.#take(items, answers)
      tries = isDone ? 0 : tries + 1
      const [answer] = answers
      if (!isDone && !signal.aborted)
        await this.#patience.pause(tries - 1, answer?.ok === false ? answer.retryAfterMs : undefined, signal)
    }
    this.#draining.delete(conversation_id)
  }

  /** Whether all of these are settled now. */
  async #take(items: readonly OutboxItem[], answers: readonly Answer[]): Promise<boolean> {
    let isDone = true
    for (const [index, item] of items.entries()) {
      const answer = answers[index]
      if (answer?.ok && isMessage(answer.body)) {
        this.committed({ ...answer.body, client_id: item.key })
      } else if (answer?.ok === false && items.length === 1 && !mayMend(answer))
        await this.#fail(item, answer)
      else isDone &&= !this.#items.has(item.key)
    }
    return isDone
  }

  async #fail(item: OutboxItem, { status, code, reason }: Answer & { ok: false }): Promise<void> {
    if (this.#items.has(item.key)) await this.#put({ ...item, failed: { code, reason } })
    this.#waiters.get(item.key)?.reject(new SendError(status, code, reason))
    this.#waiters.delete(item.key)
  }
}

/** Whoever waits is told; the message stays stored, and is sent the next time. */
function closed(): SendError {
  return new SendError(0, 'closed')
}

/** A box may answer 200 with JSON of its own. */
function isMessage(body: unknown): body is Message {
  const { id, seq } = body as { id?: unknown; seq?: unknown }
  return typeof id === 'string' && typeof seq === 'number'
}
