import { Problem } from '../protocol/problems.ts'
import * as schemas from '../protocol/schemas.ts'
import { block, listBlocked, unblock } from '../store/blocks.ts'
import { endpoint } from './endpoint.ts'
import { pageOf } from './fitting.ts'
import type { Services } from './services.ts'

const TAG = 'People'

export const putBlock = (services: Services) =>
  endpoint({
    summary: 'Block somebody: they can neither start nor continue a direct conversation with me',
    tag: TAG,
    signedIn: true,
    params: schemas.blockParams,
    answers: { 204: { description: 'Blocked; they are not told.' } },
    problems: ['not_found', 'validation_failed'],
    async handle({ params, caller }) {
      if (params.user_id === caller.user_id) {
        throw new Problem('validation_failed', 'You cannot block yourself. Name somebody else.')
      }
      await block(services.database.sql, { by: caller.user_id, user: params.user_id })
      return { status: 204 }
    },
  })

export const deleteBlock = (services: Services) =>
  endpoint({
    summary: 'Block somebody no longer',
    tag: TAG,
    signedIn: true,
    params: schemas.blockParams,
    answers: { 204: { description: 'Not blocked, or not any more.' } },
    async handle({ params, caller }) {
      await unblock(services.database.sql, { by: caller.user_id, user: params.user_id })
      return { status: 204 }
    },
  })

export const getBlocks = (services: Services) =>
  endpoint({
    summary: 'Whom I block, by id',
    tag: TAG,
    signedIn: true,
    query: schemas.blocksQuery,
    answers: { 200: { description: 'Only I see this list.', schema: schemas.blocked } },
    async handle({ query, caller }) {
      const request = { by: caller.user_id, limit: query.limit + 1, after: query.after }
      const { items, next } = pageOf(await listBlocked(services.database.sql, request), query.limit)
      return { status: 200, body: { users: items, next: next?.id ?? null } }
    },
  })
