import { type Answer, call, Person } from './person.ts'

export const ADMIN_TOKEN = 'an admin token has at least 32 characters'.replaceAll(' ', '-')

/** The product's back end, which calls `/v1/admin`. */
export class BackEnd {
  readonly base: string

  constructor(base: string) {
    this.base = base
  }

  call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const authorization = `Bearer ${ADMIN_TOKEN}`
    return call<T>(this.base, method, `/v1/admin${path}`, { body, headers: { authorization, ...headers } })
  }

  /** A user of the product's own, signed in without a password. */
  async person(user: { id?: string; display_name: string; [field: string]: unknown }): Promise<Person> {
    const { body } = await this.call<{ id: string }>('POST', '/users', user)
    return this.signIn(body.id)
  }

  async signIn(id: string): Promise<Person> {
    const path = `/users/${encodeURIComponent(id)}/sessions`
    const answer = await this.call<Person['session']>('POST', path)
    if (answer.status !== 201) throw new Error(`no session: ${answer.text}`)
    return new Person(this.base, answer.body)
  }
}
