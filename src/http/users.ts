import { notFound, Problem } from '../protocol/problems.ts'
import * as schemas from '../protocol/schemas.ts'
import { updateUser } from '../store/users.ts'
import { endpoint } from './endpoint.ts'
import { fitting } from './fitting.ts'
import type { Services } from './services.ts'

const TAG = 'People'
const MAX_IDS = 100

export const getMe = (services: Services) =>
  endpoint({
    summary: 'Me',
    tag: TAG,
    signedIn: true,
    answers: { 200: { description: 'The signed-in user.', schema: schemas.user } },
    async handle({ caller }) {
      const user = await services.users.get(caller.user_id)
      if (!user) throw new Problem('unauthenticated', 'This account no longer exists. Sign in again.')
      return { status: 200, body: user }
    },
  })

export const changeMe = (services: Services) =>
  endpoint({
    summary: 'Change my display name or data',
    tag: TAG,
    signedIn: true,
    body: schemas.userChangeBody,
    answers: { 200: { description: 'As changed.', schema: schemas.user } },
    problems: ['not_found'],
    async handle({ caller, body }) {
      const { sql } = services.database
      return { status: 200, body: await updateUser(sql, caller.user_id, body) }
    },
  })

export const getUser = (services: Services) =>
  endpoint({
    summary: 'A user',
    tag: TAG,
    signedIn: true,
    params: schemas.userParams,
    answers: { 200: { description: 'The user.', schema: schemas.user } },
    problems: ['not_found'],
    async handle({ params }) {
      const user = await services.users.get(params.id)
      if (!user) throw notFound('user')
      return { status: 200, body: user }
    },
  })

export const findUsers = (services: Services) =>
  endpoint({
    summary: 'Find people by the beginning of their name, or several by id',
    tag: TAG,
    signedIn: true,
    query: schemas.usersQuery,
    answers: { 200: { description: 'Those found, at most `limit`.', schema: schemas.users } },
    problems: ['directory_closed'],
    async handle({ query }) {
      if (query.ids !== undefined) {
        const ids = query.ids.split(',').filter((id) => id !== '')
        if (ids.length > MAX_IDS)
          throw new Problem('validation_failed', `Ask for at most ${MAX_IDS} ids at once.`)
        const { items, cut } = fitting(await services.users.getMany(ids))
        return { status: 200, body: { users: items, has_more: cut } }
      }
      if (!services.config.directory) {
        throw new Problem('directory_closed', 'People cannot be searched here. Ask for them by id.')
      }
      if (query.query === undefined) {
        throw new Problem('validation_failed', 'Give query=, the beginning of a name, or ids=.', {
          errors: [{ path: 'query', message: 'is missing' }],
        })
      }
      const found = await services.users.search(query.query, query.limit + 1)
      const { items, cut } = fitting(found.slice(0, query.limit))
      return { status: 200, body: { users: items, has_more: cut || found.length > query.limit } }
    },
  })
