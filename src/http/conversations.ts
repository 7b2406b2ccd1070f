import { formatCursor } from '../protocol/cursor.ts'
import { Problem } from '../protocol/problems.ts'
import * as schemas from '../protocol/schemas.ts'
import type { Member, Role } from '../protocol/types.ts'
import { findBlockers } from '../store/blocks.ts'
import { blocked } from '../store/commit-group.ts'
import { updateConversation } from '../store/conversation-changes.ts'
import { createGroup, type ListPosition, openDirect } from '../store/conversations.ts'
import { listMembers, putMember, removeMember } from '../store/members.ts'
import { markRead } from '../store/read-marks.ts'
import { creating } from './creating.ts'
import { endpoint, type Reply } from './endpoint.ts'
import { fitting } from './fitting.ts'
import type { Services } from './services.ts'

const TAG = 'Conversations'

export const createConversation = (services: Services) =>
  endpoint({
    summary: 'Start a direct conversation or a group',
    tag: TAG,
    signedIn: true,
    creates: true,
    body: schemas.newConversationBody,
    answers: {
      201: { description: 'Made.', schema: schemas.conversation },
      200: { description: 'The direct conversation that is there already.', schema: schemas.conversation },
    },
    problems: ['user_not_found', 'group_full', 'blocked'],
    async handle({ body, caller }, facts) {
      const me = caller.user_id
      const others = [...new Set(body.members)].filter((id) => id !== me)
      const limit = services.config.groupLimit
      if (body.kind === 'direct' && others.length !== 1) {
        throw new Problem(
          'validation_failed',
          'Name one other person as the member of a direct conversation.',
          {
            errors: [{ path: 'members', message: 'must name one person other than you' }],
          },
        )
      }
      if (others.length + 1 > limit) {
        throw new Problem('group_full', `A group has at most ${limit} members, you included. Name fewer.`)
      }
      return creating(services, facts, { sender: me, request: body }, async (unit) => {
        if (body.kind === 'direct') {
          if ((await findBlockers(unit.tx, me, others)).size > 0) throw blocked()
          const opened = (await openDirect(unit, me, others)).values().next().value
          if (!opened) throw noSuchMember(others)
          const conversation = await services.conversations.get(me, opened.id, unit.tx)
          return { status: opened.created ? 201 : 200, body: conversation }
        }
        const { title = null, data = {}, history = 'joined', system_messages = false } = body
        const id = await createGroup(unit, {
          owner: me,
          members: others,
          title,
          data,
          history,
          system_messages,
        })
        return { status: 201, body: await services.conversations.get(me, id, unit.tx) }
      })
    },
  })

/** Some of the people named do not exist. */
export function noSuchMember(ids: string[]): Problem {
  const errors = ids.map((id) => ({ path: 'members', message: `no such user: ${id}` }))
  return new Problem('user_not_found', 'There is no such user. Check the id.', { errors })
}

export const listConversations = (services: Services) =>
  endpoint({
    summary: 'My conversations, latest activity first',
    tag: TAG,
    signedIn: true,
    query: schemas.conversationsQuery,
    answers: {
      200: { description: 'One snapshot, true at inbox position `cursor`.', schema: schemas.conversations },
    },
    async handle({ query, caller }) {
      const after = query.after === undefined ? undefined : parsePosition(query.after)
      const page = await services.conversations.list(caller.user_id, query.limit + 1, {
        after,
        hidden: query.hidden,
      })
      const asked = page.conversations.slice(0, query.limit)
      const { items, cut } = fitting(asked.map((each) => each.conversation))
      const last = asked[items.length - 1]
      const more = cut || page.conversations.length > asked.length
      const next = more && last ? formatPosition(last.position) : null
      return { status: 200, body: { conversations: items, next, cursor: formatCursor(page.cursor) } }
    },
  })

function formatPosition({ activity, id }: ListPosition): string {
  return `${activity}.${id}`
}

function parsePosition(text: string): ListPosition {
  const [, activity, id] = /^(\d{1,15})\.([0-9a-f-]{36})$/.exec(text) ?? []
  if (activity === undefined || id === undefined || !schemas.isUuid(id)) {
    throw new Problem('validation_failed', 'Pass `next` of the page before as `after`, unchanged.', {
      errors: [{ path: 'after', message: 'is not a `next` given by this server' }],
    })
  }
  return { activity: Number(activity), id }
}

export const getConversation = (services: Services) =>
  endpoint({
    summary: 'One conversation',
    tag: TAG,
    signedIn: true,
    params: schemas.conversationParams,
    answers: { 200: { description: 'As I see it.', schema: schemas.conversation } },
    problems: ['not_found'],
    async handle({ params, caller }) {
      return { status: 200, body: await services.conversations.get(caller.user_id, params.id) }
    },
  })

export const changeConversation = (services: Services) =>
  endpoint({
    summary: 'Change what all share (owner and admins), or my own `muted` and `hidden`',
    tag: TAG,
    signedIn: true,
    params: schemas.conversationParams,
    body: schemas.conversationChangeBody,
    answers: { 200: { description: 'As changed.', schema: schemas.conversation } },
    problems: ['not_found', 'forbidden', 'direct_conversation'],
    async handle({ params, body, caller }) {
      const target = { conversation: params.id, by: caller.user_id }
      await services.writer.write((unit) => updateConversation(unit, target, body))
      return { status: 200, body: await services.conversations.get(caller.user_id, params.id) }
    },
  })

/** The members behind the one who was the last of the page before, as far as they fit. */
export function membersPage(members: readonly Member[], after: string | undefined) {
  const begin = members.findIndex(({ user_id }) => user_id === after) + 1
  const { items, cut } = fitting(members.slice(begin))
  return { members: items, has_more: cut, next: cut ? items.at(-1)?.user_id : null }
}

export const getMembers = (services: Services) =>
  endpoint({
    summary: 'The members, in the order in which they joined',
    tag: TAG,
    signedIn: true,
    params: schemas.conversationParams,
    query: schemas.membersQuery,
    answers: { 200: { description: '`has_more` and `next` if not all fit.', schema: schemas.members } },
    problems: ['not_found'],
    async handle({ params, query, caller }) {
      const members = await listMembers(services.database.sql, params.id, caller.user_id)
      return { status: 200, body: membersPage(members, query.after) }
    },
  })

/** Adds a member or changes a role; `by` is who does it, null for the back end. */
export async function putMemberBy(
  { config, database, writer }: Services,
  by: string | null,
  { id: conversation, user_id: user }: { id: string; user_id: string },
  role: Role | undefined,
): Promise<Reply> {
  const limit = config.groupLimit
  const added = await writer.write((unit) => putMember(unit, { conversation, by, user, role, limit }))
  const members = await listMembers(database.sql, conversation, by)
  return { status: added ? 201 : 200, body: members.find(({ user_id }) => user_id === user) }
}

export const putConversationMember = (services: Services) =>
  endpoint({
    summary: 'Add a member, change a role, or hand the group over',
    tag: TAG,
    signedIn: true,
    params: schemas.memberParams,
    body: schemas.memberBody,
    answers: {
      200: { description: 'The member was there already.', schema: schemas.member },
      201: { description: 'Added.', schema: schemas.member },
    },
    problems: ['not_found', 'forbidden', 'group_full', 'direct_conversation'],
    async handle({ params, body, caller }) {
      return putMemberBy(services, caller.user_id, params, body?.role)
    },
  })

export const deleteConversationMember = (services: Services) =>
  endpoint({
    summary: 'Remove a member, or leave',
    tag: TAG,
    signedIn: true,
    params: schemas.memberParams,
    answers: { 204: { description: 'Gone; `member.removed` was their last event of this conversation.' } },
    problems: ['not_found', 'forbidden', 'direct_conversation'],
    async handle({ params, caller }) {
      const user = params.user_id === 'me' ? caller.user_id : params.user_id
      const change = { conversation: params.id, by: caller.user_id, user }
      await services.writer.write((unit) => removeMember(unit, change))
      return { status: 204 }
    },
  })

export const putRead = (services: Services) =>
  endpoint({
    summary: 'Move my read mark, never back',
    tag: TAG,
    signedIn: true,
    params: schemas.conversationParams,
    body: schemas.readBody,
    answers: { 204: { description: 'Read up to here.' } },
    problems: ['not_found'],
    async handle({ params, body, caller }) {
      const mark = { conversation: params.id, by: caller.user_id, seq: body.seq }
      const moved = await services.writer.write((unit) => markRead(unit, mark))
      if (moved) services.receipts.moved(moved)
      return { status: 204 }
    },
  })
