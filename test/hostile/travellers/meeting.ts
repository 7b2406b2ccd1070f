import { Person } from '../../support/person.ts'
import type { Origin } from '../box.ts'
import { followByPolls } from './long-poll.ts'
import type { Arrival } from './traveller.ts'

/** Two people in one conversation: one is about to travel, the other stays beside the gateway. */
export type Meeting = {
  near: Person
  conversation: string
  /** The place of the traveller's inbox from which on there is only what this journey brings. */
  cursor: string
  /** What reached the other. */
  arrived: readonly Arrival[]
  /** The other says something. */
  say: (text: string) => Promise<void>
  end: () => Promise<void>
}

/** Lets two new people meet. The one who stays reads by long-polls at the gateway itself, with nothing between. */
export async function meet(origin: Origin): Promise<Meeting> {
  const [near, far] = await Promise.all([Person.signUp(origin.http), Person.signUp(origin.http)])
  const conversation = await far.direct(near)
  const [{ cursor }, place] = await Promise.all([near.readAll(), far.readAll()])
  const arrived: Arrival[] = []
  const ending = new AbortController()
  const following = followByPolls(
    { url: origin.http, proxyUrl: undefined, authority: undefined },
    { reader: far, cursor: place.cursor },
    ending.signal,
    (text) => arrived.push({ text, at: performance.now() }),
    () => {},
  )
  return {
    near,
    conversation,
    cursor,
    arrived,
    async say(text) {
      const { status } = await far.send(conversation, text)
      if (status !== 201) throw new Error(`the gateway answered ${status} to the far end`)
    },
    async end() {
      ending.abort()
      await following
    },
  }
}
