import { setTimeout as pause } from 'node:timers/promises'
import type { Fetch } from '../../src/client/requests.ts'
import { byeFrame, heartbeatFrame, helloFrame, resetFrame } from '../../src/delivery/frames.ts'
import { formatCursor, parseCursor } from '../../src/protocol/cursor.ts'
import type { ByeReason } from '../../src/protocol/types.ts'

/** One request. `fields` are those of the query and of a JSON body; `at` is in ms since the gateway was made. */
export type Asked = {
  at: number
  method: string
  path: string
  fields: Record<string, unknown>
  token: string | undefined
}

type Sent = { id: string; conversation_id: string; seq: number; text: string; client_id: string }
type Event = { id: number; type: string; at: string; message?: Sent }
type Stream = { write(frame: string): void }

const ENCODER = new TextEncoder()

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  const type = status < 400 ? 'application/json' : 'application/problem+json'
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': type, ...headers } })
}

export function problem(status: number, code: string, headers?: Record<string, string>): Response {
  return json({ code, detail: 'Not now.' }, status, headers)
}

/** One inbox behind a `fetch`: says what no real gateway says on demand. What answers as the real one does is kept small. */
export class FakeGateway {
  epoch = 'here'
  /** Whether it serves streams; else it refuses them, and is polled. */
  hasStreams = false
  readonly asked: Asked[] = []
  /** What was committed, in order. */
  readonly sent: Sent[] = []
  readonly streams = new Set<Stream>()
  /** Answers in the gateway's place, if it answers. */
  script: (asked: Asked) => Response | Promise<Response> | undefined = () => undefined
  readonly #events: Event[] = []
  readonly #wakers = new Set<() => void>()
  readonly #since = performance.now()

  get head(): string {
    return formatCursor({ epoch: this.epoch, id: this.#events.length })
  }

  get texts(): string[] {
    return this.sent.map(({ text }) => text)
  }

  /** Adds events to the inbox. */
  announce(count = 1): void {
    for (let added = 0; added < count; added += 1) this.#add({ type: 'announcement' })
  }

  /** Says goodbye on every stream, which is to come back after 50 ms. */
  bye(reason: ByeReason): void {
    for (const stream of this.streams) stream.write(byeFrame(reason, 50))
  }

  askedFor(path: string): Asked[] {
    return this.asked.filter((asked) => asked.path === path)
  }

  readonly fetch: Fetch = async (url, init = {}) => {
    const { pathname: path, searchParams } = new URL(url)
    const body = typeof init.body === 'string' ? (JSON.parse(init.body) as object) : {}
    const token = new Headers(init.headers).get('authorization')?.slice('Bearer '.length)
    const fields = { ...Object.fromEntries(searchParams), ...body }
    const at = performance.now() - this.#since
    const asked = { at, method: init.method ?? 'GET', path, fields, token }
    this.asked.push(asked)
    const { signal } = init
    // As far away as a network is: else who asks without end would be all that runs.
    await pause(1)
    signal?.throwIfAborted()
    const answer = Promise.resolve(this.script(asked) ?? this.#answer(asked, signal ?? undefined))
    if (!signal) return answer
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      answer.then(resolve, reject)
    })
  }

  #answer({ path, fields }: Asked, signal: AbortSignal | undefined): Response | Promise<Response> {
    const [, conversation] = /^\/v1\/conversations\/([^/]+)\/messages$/.exec(path) ?? []
    if (conversation) return json(this.#commit({ ...fields, conversation_id: conversation }), 201)
    if (path === '/v1/messages') {
      const messages = fields.messages as Partial<Sent>[]
      return json({ results: messages.map((each) => ({ status: 201, message: this.#commit(each) })) })
    }
    if (path === '/v1/users/me') return json({ id: 'me' })
    if (path === '/v1/devices/current/cursor') return new Response(null, { status: 204 })
    if (path !== '/v1/events') return problem(404, 'not_found')
    if (!/^(sse|octet)$/.test(String(fields.as))) return this.#poll(fields, signal)
    return this.hasStreams ? this.#stream(fields, signal) : problem(403, 'no_streams')
  }

  /** Where it begins, as the gateway finds that: from the head if nothing is said. */
  #start(after: unknown): { from: number; reset?: 'unknown' } | undefined {
    if (after === undefined) return { from: this.#events.length }
    if (after === '0') return { from: 0 }
    const cursor = parseCursor(String(after))
    if (!cursor) return undefined
    const isKnown = cursor.epoch === this.epoch && cursor.id <= this.#events.length
    return isKnown ? { from: cursor.id } : { from: this.#events.length, reset: 'unknown' }
  }

  async #poll({ after, wait = 25 }: Record<string, unknown>, signal?: AbortSignal): Promise<Response> {
    const start = this.#start(after)
    if (!start) return problem(400, 'malformed_cursor')
    const { from, reset } = start
    if (reset) return json({ reset, cursor: this.head, events: [], has_more: false })
    const isOver = AbortSignal.timeout(Number(wait) * 1_000)
    while (this.#events.length <= from && Number(wait) > 0 && !isOver.aborted && !signal?.aborted)
      await new Promise<void>((resolve) => {
        this.#wakers.add(resolve)
        isOver.addEventListener('abort', () => resolve())
        signal?.addEventListener('abort', () => resolve())
      })
    return json({ cursor: this.head, events: this.#events.slice(from), has_more: false })
  }

  #stream({ as, after, heartbeat }: Record<string, unknown>, signal?: AbortSignal): Response {
    const start = this.#start(after)
    if (!start) return problem(400, 'malformed_cursor')
    const { from, reset } = start
    const cursor = { epoch: this.epoch, id: from }
    const text = formatCursor(cursor)
    const fields = { heartbeat: Number(heartbeat), node: 'fake', at: new Date().toISOString() }
    const hello = helloFrame({ cursor: text, head: this.head, ...fields }, 2_000)
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const stream = { write: (frame: string) => controller.enqueue(ENCODER.encode(frame)) }
        stream.write(hello + (reset ? resetFrame(cursor, reset) : ''))
        const beat = () => stream.write(heartbeatFrame(this.head, new Date()))
        // A write of its own, as the gateway does it.
        const first = setTimeout(() => {
          this.streams.add(stream)
          beat()
          for (const event of this.#events.slice(from)) stream.write(this.#frameOf(event))
        })
        const beats = setInterval(beat, 3_000)
        signal?.addEventListener('abort', () => {
          clearTimeout(first)
          clearInterval(beats)
          this.streams.delete(stream)
          controller.error(signal.reason)
        })
      },
    })
    const type = as === 'sse' ? 'text/event-stream' : 'application/octet-stream'
    return new Response(body, { headers: { 'content-type': type } })
  }

  #frameOf(event: Event): string {
    return `id: ${this.epoch}-${event.id}\ndata: ${JSON.stringify(event)}\n\n`
  }

  #commit({ conversation_id = '', text = '', client_id = '' }: Partial<Sent>): Sent {
    const known = this.sent.find((message) => message.client_id === client_id)
    if (known) return known
    const seq = this.sent.length + 1
    const message = { id: `m${seq}`, conversation_id, seq, text, client_id }
    this.sent.push(message)
    this.#add({ type: 'message.created', message })
    return message
  }

  #add(event: Pick<Event, 'type' | 'message'>): void {
    const added = { id: this.#events.length + 1, at: new Date().toISOString(), ...event }
    this.#events.push(added)
    for (const stream of this.streams) stream.write(this.#frameOf(added))
    const wakers = [...this.#wakers]
    this.#wakers.clear()
    for (const wake of wakers) wake()
  }
}
