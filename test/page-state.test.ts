import { expect, test } from 'vitest'
import type { Conversation } from '../src/protocol/types.ts'
import { applyTo, begin, type Known } from '../src/web/conversation-events.ts'
import type { InboxEvent } from '../src/web/inbox-event.ts'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'

const { gateway } = useGateway()

/** What the page shows of a conversation: not how its last message was reacted to, and of a peer who it is. */
function shown({ last_message, peer, ...rest }: Known): object {
  return { ...rest, peer: peer?.id, last_message: last_message && { ...last_message, reactions: [] } }
}

/** Two people in a group and a direct conversation, who do all that makes an event. */
async function play(ann: Person, ben: Person, after: () => Promise<void>): Promise<void> {
  const group = await ann.group([ben], { system_messages: true, title: 'Tea' })
  const direct = await ben.direct(ann)
  const name = `@${ann.session.user.username}`
  const [inGroup, inDirect] = [`/v1/conversations/${group}`, `/v1/conversations/${direct}`]
  const acts = [
    () => ben.send(group, `one ${name}`),
    () => ben.send(direct, 'two'),
    () => ann.send(group, 'three'),
    () => ben.send(group, 'four'),
    () => ben.call('PATCH', `${inGroup}/messages/3`, { text: `four ${name}` }),
    () => ann.call('PUT', `${inGroup}/read`, { seq: 1 }),
    () => ben.call('PUT', `${inGroup}/messages/3/reactions/${encodeURIComponent('👍')}`),
    () => ben.call('DELETE', `${inGroup}/messages/3`),
    () => ann.call('PATCH', inDirect, { hidden: true, muted: true }),
    () => ben.send(direct, `five ${name}`),
    () => ann.call('PATCH', inDirect, { hidden: true }),
    () => ann.call('PATCH', inGroup, { title: 'Coffee' }),
    () => ann.call('PUT', `${inGroup}/members/${ben.id}`, { role: 'owner' }),
    () => ann.call('PUT', `${inGroup}/read`, { seq: 4 }),
    () => ben.call('DELETE', `${inGroup}/members/${ann.id}`),
    () => ben.send(group, 'unseen'),
    () => ben.call('PUT', `${inGroup}/members/${ann.id}`, { role: 'admin' }),
    () => ben.send(group, `six ${name}`),
    () => ann.call('PATCH', inDirect, { hidden: false, muted: false }),
    () => ann.call('PATCH', inDirect, { hidden: true }),
    () => ben.send(direct, 'seven'),
  ]
  for (const act of acts) {
    expect((await act()).status).toBeLessThan(300)
    await after()
  }
}

async function snapshot(person: Person): Promise<Map<string, Conversation>> {
  const pages = await Promise.all(
    ['false', 'true'].map((hidden) =>
      person.call<{ conversations: Conversation[] }>('GET', `/v1/conversations?hidden=${hidden}`),
    ),
  )
  return new Map(pages.flatMap(({ body }) => body.conversations).map((each) => [each.id, each]))
}

/** As Conversations does it; `ahead` is what asking for one on its own gives, where that is how it came here. */
function apply(known: Map<string, Known>, event: InboxEvent, me: string, ahead?: Map<string, Conversation>) {
  const id = event.conversation_id
  if (event.type === 'conversation.created') known.set(id, begin(event))
  else if (event.type === 'member.removed' && event.user_id === me) known.delete(id)
  const conversation = known.get(id)
  if (!conversation || event.type === 'conversation.created') return
  const fetched = event.type === 'conversation.read' ? ahead?.get(id) : undefined
  if (fetched) known.set(id, structuredClone(fetched))
  else applyTo(conversation, event, me)
}

test('what the page makes of events is what a reload gives, from whichever snapshot it began', async () => {
  const [ann, ben] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
  const live = new Map<string, Known>()
  const cursors = ['0']
  await play(ann, ben, async () => {
    const { events, cursor } = await ann.readAll(cursors.at(-1))
    for (const event of events) apply(live, event as unknown as InboxEvent, ann.id)
    const now = await snapshot(ann)
    expect([...live.keys()].sort()).toEqual([...now.keys()].sort())
    for (const [id, each] of now) expect(shown(live.get(id) as Known)).toEqual(shown(each))
    cursors.push(cursor)
  })
  // One that was asked for on its own is ahead of the stream: events of before must not spoil it.
  const end = await snapshot(ann)
  for (const cursor of cursors) {
    const ahead = new Map<string, Known>(structuredClone(end))
    const { events } = await ann.readAll(cursor)
    for (const event of events) apply(ahead, event as unknown as InboxEvent, ann.id, end)
    for (const [id, each] of end) expect(shown(ahead.get(id) as Known)).toEqual(shown(each))
  }
})
