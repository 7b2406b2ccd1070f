import type { Data, Message } from '../protocol/types.ts'
import { type Answer, mayMend } from './answers.ts'
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
  /** Of the problem, such as `not_found` or `blocked`; `discarded` if it was taken back. */
  readonly code: string

  constructor(status: number, code: string, reason: string) {
    super(reason)
    this.name = 'SendError'
    this.status = status
    this.code = code
  }
}

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 8_000

/** Sending waits no longer than this for a message to be stored. */
const KEEP_MS = 200

type Waiter = { resolve(message: Message): void; reject(error: SendError): void }

/** Messages on their way, one at a time per conversation, each sent with its key until it is answered. */
export class Outbox {
  readonly #requests: Requests
  readonly #storage: ClientStorage
  /** Resolves when it is known whose messages these are. */
  readonly #prefix: Promise<string>
  readonly #changed: (committed?: Message) => void
  readonly #items = new Map<string, OutboxItem>()
  readonly #waiters = new Map<string, Waiter>()
  readonly #draining = new Set<string>()
  readonly #sleepers = new Set<() => void>()
  readonly #closing = new AbortController()
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
  }

  /** Pending and failed ones, in the order of sending. */
  get items(): OutboxItem[] {
    return [...this.#items.values()].sort((one, other) => one.order - other.order)
  }

  /** Goes on with what was left behind when the page was last open. */
  async load(): Promise<void> {
    for (const name of await this.#storage.names(await this.#prefix)) {
      const item = JSON.parse((await this.#storage.get(name)) ?? 'null') as OutboxItem | null
      if (!item || this.#items.has(item.key)) continue
      this.#items.set(item.key, item)
      this.#order = Math.max(this.#order, item.order)
    }
    if (this.#items.size > 0) this.#changed()
    for (const { conversation_id } of this.items) void this.#drain(conversation_id)
  }

  /** Resolves when the message is committed; rejects with SendError when the server will not have it. */
  send(conversation_id: string, text: string, options: SendOptions): Promise<Message> {
    this.#order = Math.max(Date.now(), this.#order + 1)
    const item = { key: newKey(), conversation_id, text, ...options, order: this.#order }
    return new Promise((resolve, reject) => {
      this.#waiters.set(item.key, { resolve, reject })
      void this.#put(item).then(() => this.#drain(conversation_id))
    })
  }

  /** Sends a failed one again, with the same key. */
  retry(key: string): void {
    const item = this.#items.get(key)
    if (item?.failed)
      void this.#put({ ...item, failed: undefined }).then(() => this.#drain(item.conversation_id))
  }

  /** Takes one back. If it is under way it may be committed all the same. */
  discard(key: string): void {
    const item = this.#items.get(key)
    if (!item) return
    this.#drop(item)
    this.#waiters.get(key)?.reject(new SendError(0, 'discarded', 'The message was taken back.'))
    this.#waiters.delete(key)
    this.hurry()
  }

  /** The network is back: whoever waits for better times tries now. */
  hurry(): void {
    for (const wake of this.#sleepers) wake()
  }

  close(): void {
    this.#closing.abort()
    this.hurry()
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

  #drop(item: OutboxItem, committed?: Message): void {
    this.#items.delete(item.key)
    void this.#prefix.then((prefix) => this.#storage.remove(prefix + item.key)).catch(() => {})
    this.#changed(committed)
  }

  async #drain(conversation_id: string): Promise<void> {
    if (this.#draining.has(conversation_id)) return
    this.#draining.add(conversation_id)
    const next = () => this.items.find((item) => item.conversation_id === conversation_id && !item.failed)
    for (let item = next(); item && !this.#closing.signal.aborted; item = next()) await this.#deliver(item)
    this.#draining.delete(conversation_id)
  }

  async #deliver(item: OutboxItem): Promise<void> {
    const { key, conversation_id, text, reply_to, data } = item
    const body = { text, ...(reply_to !== undefined && { reply_to }), ...(data && { data }) }
    const path = `/v1/conversations/${encodeURIComponent(conversation_id)}/messages`
    const { signal } = this.#closing
    for (let tries = 0; this.#items.has(key) && !signal.aborted; tries += 1) {
      const answer = await this.#requests.json(path, body, { key, isRetry: tries > 0, signal })
      if (answer.ok && isMessage(answer.body)) {
        this.#drop(item, answer.body)
        this.#waiters.get(key)?.resolve(answer.body)
        this.#waiters.delete(key)
        return
      }
      if (!answer.ok && !mayMend(answer)) {
        await this.#fail(item, answer)
        return
      }
      if (!signal.aborted) await this.#sleep(tries, answer.ok ? undefined : answer.retryAfterMs)
    }
  }

  async #fail(item: OutboxItem, { status, code, reason }: Answer & { ok: false }): Promise<void> {
    if (this.#items.has(item.key)) await this.#put({ ...item, failed: { code, reason } })
    this.#waiters.get(item.key)?.reject(new SendError(status, code, reason))
    this.#waiters.delete(item.key)
  }

  /** What the server asked for is waited for whole; anything else may be cut short by `hurry`. */
  #sleep(tries: number, retryAfterMs: number | undefined): Promise<void> {
    const ceiling = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries)
    const jitter = 50 + Math.random() * ceiling
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#sleepers.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, (retryAfterMs ?? 0) + jitter)
      if (retryAfterMs === undefined) this.#sleepers.add(wake)
    })
  }
}

/** A box may answer 200 with JSON of its own. */
function isMessage(body: unknown): body is Message {
  const { id, seq } = body as { id?: unknown; seq?: unknown }
  return typeof id === 'string' && typeof seq === 'number'
}

/** `crypto.randomUUID` is missing on plain-http addresses other than localhost. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
