import { notFound, Problem } from '../../protocol/problems.ts'
import * as schemas from '../../protocol/schemas.ts'
import { updateConversation } from '../../store/conversation-changes.ts'
import { toSharedConversation } from '../../store/conversation-record.ts'
import { createGroup, findConversation, openDirect } from '../../store/conversations.ts'
import { listMembers, removeMember } from '../../store/members.ts'
import type { Unit } from '../../store/writer.ts'
import { membersPage, noSuchMember, putMemberBy } from '../conversations.ts'
import { creating } from '../creating.ts'
import { endpoint } from '../endpoint.ts'
import type { Services } from '../services.ts'
import { BACK_END } from './access.ts'

const TAG = 'Admin'

export const createConversationFor = (services: Services) =>
  endpoint({
    summary: 'Start a direct conversation or a group for others',
    tag: TAG,
    signedIn: false,
    admin: true,
    creates: true,
    body: schemas.adminConversationBody,
    answers: {
      201: { description: 'Made.', schema: schemas.sharedConversation },
      200: {
        description: 'The direct conversation that is there already.',
        schema: schemas.sharedConversation,
      },
    },
    problems: ['user_not_found', 'group_full'],
    async handle({ body }, facts) {
      const {
        kind,
        owner = null,
        title = null,
        data = {},
        history = 'joined',
        system_messages = false,
      } = body
      const members = [...new Set([...(owner === null ? [] : [owner]), ...body.members])]
      const limit = services.config.groupLimit
      if (kind === 'group' && members.length > limit) {
        throw new Problem('group_full', `A group has at most ${limit} members. Name fewer.`)
      }
      const [first, second] = members
      if (kind === 'direct' && (!first || !second || members.length !== 2)) {
        throw new Problem('validation_failed', 'Name the two members of a direct conversation.', {
          errors: [{ path: 'members', message: 'must name two different people' }],
        })
      }
      return creating(services, facts, { sender: BACK_END, request: body }, async (unit) => {
        if (kind === 'direct' && first && second) return openBetween(unit, first, second)
        const id = await createGroup(unit, { owner, members, title, data, history, system_messages })
        return { status: 201, body: await read(unit.tx, id) }
      })
    },
  })

async function openBetween(unit: Unit, one: string, other: string) {
  const opened = (await openDirect(unit, one, [other])).get(other)
  if (!opened) throw noSuchMember([one, other])
  return { status: opened.created ? 201 : 200, body: await read(unit.tx, opened.id) }
}

/** Throws Problem not_found. */
async function read(sql: Unit['tx'], id: string) {
  const record = await findConversation(sql, id)
  if (!record) throw notFound('conversation')
  return toSharedConversation(record)
}

export const getConversationFor = (services: Services) =>
  endpoint({
    summary: 'A conversation',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.conversationParams,
    answers: {
      200: { description: 'What is the same for all members.', schema: schemas.sharedConversation },
    },
    problems: ['not_found'],
    async handle({ params }) {
      return { status: 200, body: await read(services.database.sql, params.id) }
    },
  })

export const changeConversationFor = (services: Services) =>
  endpoint({
    summary: 'Change a group’s title or data',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.conversationParams,
    body: schemas.adminConversationChangeBody,
    answers: { 200: { description: 'As changed.', schema: schemas.sharedConversation } },
    problems: ['not_found', 'direct_conversation'],
    async handle({ params, body }) {
      const target = { conversation: params.id, by: null }
      await services.writer.write((unit) => updateConversation(unit, target, body))
      return { status: 200, body: await read(services.database.sql, params.id) }
    },
  })

export const getMembersFor = (services: Services) =>
  endpoint({
    summary: 'The members of a conversation, in the order in which they joined',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.conversationParams,
    query: schemas.membersQuery,
    answers: { 200: { description: '`has_more` and `next` if not all fit.', schema: schemas.members } },
    problems: ['not_found'],
    async handle({ params, query }) {
      const members = await listMembers(services.database.sql, params.id, null)
      return { status: 200, body: membersPage(members, query.after) }
    },
  })

export const putMemberFor = (services: Services) =>
  endpoint({
    summary: 'Add a member to a group, change a role, or hand the group over',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.memberParams,
    body: schemas.memberBody,
    answers: {
      200: { description: 'The member was there already.', schema: schemas.member },
      201: { description: 'Added.', schema: schemas.member },
    },
    problems: ['not_found', 'forbidden', 'group_full', 'direct_conversation'],
    async handle({ params, body }) {
      return putMemberBy(services, null, params, body?.role)
    },
  })

export const removeMemberFor = (services: Services) =>
  endpoint({
    summary: 'Remove a member from a group',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.memberParams,
    answers: { 204: { description: 'Gone; `member.removed` was their last event of this conversation.' } },
    problems: ['not_found', 'direct_conversation'],
    async handle({ params }) {
      const change = { conversation: params.id, by: null, user: params.user_id }
      await services.writer.write((unit) => removeMember(unit, change))
      return { status: 204 }
    },
  })
