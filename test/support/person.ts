import { randomUUID } from 'node:crypto'
import type { Conversation, Message, User } from '../../src/protocol/types.ts'
import { openStream, type Stream } from './stream.ts'

export type Answer<T = Record<string, unknown>> = { status: number; body: T; headers: Headers; text: string }
export type Event = {
  id: number
  type: string
  conversation_id?: string
  message?: Message
  [field: string]: unknown
}
export type Poll = { cursor: string; events: Event[]; has_more: boolean; reset?: string }
type Session = { user: User; device_id: string; access_token: string; refresh_token: string }

let names = 0

/** Sends JSON, reads JSON; `base` is the gateway's URL. */
export async function call<T = Record<string, unknown>>(
  base: string,
  method: string,
  path: string,
  { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer<T>> {
  const raw = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(base + path, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(raw !== undefined && { body: raw }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json')
  return {
    status: response.status,
    body: (isJson && text !== '' ? JSON.parse(text) : undefined) as T,
    headers: response.headers,
    text,
  }
}

/** Somebody with an account, on one device. */
export class Person {
  readonly base: string
  readonly session: Session

  constructor(base: string, session: Session) {
    this.base = base
    this.session = session
  }

  static async signUp(
    base: string,
    username = `person-${process.pid}-${names++}-${Date.now()}`,
  ): Promise<Person> {
    const answer = await call<Session>(base, 'POST', '/v1/accounts', {
      body: { username, password: 'correct horse' },
    })
    if (answer.status !== 201) throw new Error(`sign-up failed: ${answer.text}`)
    return new Person(base, answer.body)
  }

  static async signIn(base: string, username: string | null): Promise<Person> {
    const answer = await call<Session>(base, 'POST', '/v1/sessions', {
      body: { username, password: 'correct horse' },
    })
    return new Person(base, answer.body)
  }

  /** The same account on another device. */
  anotherDevice(): Promise<Person> {
    return Person.signIn(this.base, this.session.user.username)
  }

  /** The same device, talking to another node. */
  at(base: string): Person {
    return new Person(base, this.session)
  }

  get id(): string {
    return this.session.user.id
  }

  get authorization(): Record<string, string> {
    return { authorization: `Bearer ${this.session.access_token}` }
  }

  call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) {
    return call<T>(this.base, method, path, { body, headers: { ...this.authorization, ...headers } })
  }

  async direct(other: Person): Promise<string> {
    const { body } = await this.call<Conversation>('POST', '/v1/conversations', {
      kind: 'direct',
      members: [other.id],
    })
    return body.id
  }

  async group(others: Person[], more: object = {}): Promise<string> {
    const members = others.map((each) => each.id)
    const { body } = await this.call<Conversation>('POST', '/v1/conversations', {
      kind: 'group',
      members,
      ...more,
    })
    return body.id
  }

  send(conversation: string, text: string, key: string = randomUUID()): Promise<Answer<Message>> {
    return this.call<Message>(
      'POST',
      `/v1/conversations/${conversation}/messages`,
      { text },
      { 'idempotency-key': key },
    )
  }

  poll(query = 'wait=0'): Promise<Answer<Poll>> {
    return this.call<Poll>('GET', `/v1/events?as=poll&${query}`)
  }

  /** All events behind a cursor, by polls until there are no more. */
  async readAll(after = '0', limit = 500): Promise<{ cursor: string; events: Event[] }> {
    const events: Event[] = []
    for (let cursor = after; ; ) {
      const { body } = await this.poll(`wait=0&limit=${limit}&after=${cursor}`)
      events.push(...body.events)
      if (!body.has_more) return { cursor: body.cursor, events }
      cursor = body.cursor
    }
  }

  stream(query = '', headers: Record<string, string> = {}): Promise<Stream> {
    return openStream(`${this.base}/v1/events?as=sse&${query}`, { ...this.authorization, ...headers })
  }
}

/** What browsers subscribe to a gateway with. */
export async function vapidKeyOf(url: string): Promise<string> {
  return (await call<{ vapid_public_key: string }>(url, 'GET', '/v1/gateway')).body.vapid_public_key
}
