import { MAX_PRESENCE_IDS, MAX_WATCHED_MEMBERS, TYPING_SECONDS } from '../protocol/constants.ts'
import { notFound, Problem } from '../protocol/problems.ts'
import * as schemas from '../protocol/schemas.ts'
import { readPresence } from '../store/presence.ts'
import { endpoint } from './endpoint.ts'
import { fitting } from './fitting.ts'
import type { Services } from './services.ts'

export const postTyping = (services: Services) =>
  endpoint({
    summary: 'Say that I am typing',
    tag: 'Conversations',
    signedIn: true,
    params: schemas.conversationParams,
    answers: {
      204: {
        description:
          `The other members, if they are at most ${MAX_WATCHED_MEMBERS} with me, are told by a passing \`typing\`, ` +
          `at most every 3 s; without another one, or with a message of mine, it is over after ${TYPING_SECONDS} s.`,
      },
    },
    problems: ['not_found', 'rate_limited'],
    async handle({ params, caller }) {
      await services.limits.take('typing', caller.user_id)
      if (!(await services.typing.type(params.id, caller.user_id))) throw notFound('conversation')
      return { status: 204 }
    },
  })

export const getPresence = (services: Services) =>
  endpoint({
    summary: 'Who is there, of the people I share a conversation with',
    tag: 'People',
    signedIn: true,
    query: schemas.presenceQuery,
    answers: {
      200: {
        description: 'Others are left out. How they come and go is told by a passing `presence.changed`.',
        schema: schemas.presence,
      },
    },
    problems: ['presence_off'],
    async handle({ query, caller }) {
      if (!services.config.presence) {
        throw new Problem('presence_off', 'Who is there is not shown here. Do without it.')
      }
      const ids = [...new Set(query.user_ids.split(',').filter((id) => id !== ''))]
      if (ids.length > MAX_PRESENCE_IDS) {
        throw new Problem('validation_failed', `Ask for at most ${MAX_PRESENCE_IDS} people at once.`, {
          errors: [{ path: 'user_ids', message: `must name at most ${MAX_PRESENCE_IDS} people` }],
        })
      }
      const { items, cut } = fitting(await readPresence(services.database.sql, caller.user_id, ids))
      return { status: 200, body: { presence: items, has_more: cut } }
    },
  })
