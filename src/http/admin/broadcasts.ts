import { notFound } from '../../protocol/problems.ts'
import * as schemas from '../../protocol/schemas.ts'
import { createBroadcast, findBroadcast, listBroadcasts, withdrawBroadcast } from '../../store/broadcasts.ts'
import { creating } from '../creating.ts'
import { endpoint } from '../endpoint.ts'
import { pageOf } from '../fitting.ts'
import type { Services } from '../services.ts'
import { BACK_END } from './access.ts'

const TAG = 'Admin'

export const postBroadcast = (services: Services) =>
  endpoint({
    summary: 'Announce something to every user there is',
    tag: TAG,
    signedIn: false,
    admin: true,
    creates: true,
    body: schemas.broadcastBody,
    answers: { 202: { description: 'Under way; ask for its progress.', schema: schemas.broadcast } },
    problems: ['text_too_long'],
    async handle({ body }, facts) {
      const given = { sender: BACK_END, request: body }
      const reply = await creating(services, facts, given, async ({ tx }) => ({
        status: 202,
        body: await createBroadcast(tx, body.text),
      }))
      services.broadcaster.wake()
      return reply
    },
  })

export const getBroadcasts = (services: Services) =>
  endpoint({
    summary: 'The announcements so far, newest first',
    tag: TAG,
    signedIn: false,
    admin: true,
    query: schemas.announcementsQuery,
    answers: { 200: { description: 'Withdrawn ones too.', schema: schemas.broadcasts } },
    async handle({ query }) {
      const found = await listBroadcasts(services.database.sql, query.limit + 1, query.before)
      const { items, next } = pageOf(found, query.limit)
      return { status: 200, body: { broadcasts: items, next: next?.id ?? null } }
    },
  })

export const getBroadcast = (services: Services) =>
  endpoint({
    summary: 'How far an announcement has come',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.broadcastParams,
    answers: { 200: { description: 'Its progress.', schema: schemas.broadcast } },
    problems: ['not_found'],
    async handle({ params }) {
      const broadcast = await findBroadcast(services.database.sql, params.id)
      if (!broadcast) throw notFound('broadcast')
      return { status: 200, body: broadcast }
    },
  })

export const deleteBroadcast = (services: Services) =>
  endpoint({
    summary: 'Withdraw an announcement: one under way stops, and nobody reads it again',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.broadcastParams,
    answers: { 204: { description: 'Withdrawn; what was delivered cannot be called back.' } },
    problems: ['not_found'],
    async handle({ params }) {
      const broadcast = await withdrawBroadcast(services.database.sql, params.id)
      if (!broadcast) throw notFound('broadcast')
      services.hub.forget()
      services.bus.broadcast(FORGET, '')
      return { status: 204 }
    },
  })

/** Tells all nodes to read again what they remember of inboxes. */
export const FORGET = 'forget'
