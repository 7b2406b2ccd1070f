import * as schemas from '../protocol/schemas.ts'
import { listAnnouncements } from '../store/broadcasts.ts'
import { endpoint } from './endpoint.ts'
import { pageOf } from './fitting.ts'
import type { Services } from './services.ts'

export const getAnnouncements = (services: Services) =>
  endpoint({
    summary: 'What was announced since I have had an account, newest first',
    tag: 'Announcements',
    signedIn: true,
    query: schemas.announcementsQuery,
    answers: { 200: { description: 'Without those withdrawn.', schema: schemas.announcements } },
    async handle({ query, caller }) {
      const request = { user: caller.user_id, limit: query.limit + 1, before: query.before }
      const { items, next } = pageOf(await listAnnouncements(services.database.sql, request), query.limit)
      return { status: 200, body: { announcements: items, next: next?.id ?? null } }
    },
  })
