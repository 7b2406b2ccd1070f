import { notFound } from '../../protocol/problems.ts'
import * as schemas from '../../protocol/schemas.ts'
import { removeAllDevices } from '../../store/devices.ts'
import { createUser, updateUser } from '../../store/users.ts'
import { creating } from '../creating.ts'
import { endpoint } from '../endpoint.ts'
import type { Services } from '../services.ts'
import { BACK_END } from './access.ts'

const TAG = 'Admin'

export const createUserFor = (services: Services) =>
  endpoint({
    summary: 'Create a user, with an id of the product’s own or one made here',
    tag: TAG,
    signedIn: false,
    admin: true,
    creates: true,
    body: schemas.adminUserBody,
    answers: { 201: { description: 'The user.', schema: schemas.user } },
    problems: ['username_taken', 'user_id_taken'],
    async handle({ body }, facts) {
      const { id, username = null, display_name, password = null, data } = body
      const password_hash = password === null ? null : await services.passwords.hash(password)
      return creating(services, facts, { sender: BACK_END, request: body }, async ({ tx }) => ({
        status: 201,
        body: await createUser(tx, { id, username, display_name, password_hash, data }),
      }))
    },
  })

export const getUserFor = (services: Services) =>
  endpoint({
    summary: 'A user',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.userParams,
    answers: { 200: { description: 'The user.', schema: schemas.user } },
    problems: ['not_found'],
    async handle({ params }) {
      return { status: 200, body: await requireUser(services, params.id) }
    },
  })

export const changeUserFor = (services: Services) =>
  endpoint({
    summary: 'Change a user’s names, password or data',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.userParams,
    body: schemas.adminUserChangeBody,
    answers: { 200: { description: 'As changed.', schema: schemas.user } },
    problems: ['not_found', 'username_taken'],
    async handle({ params, body }) {
      const { password, ...change } = body
      const password_hash = typeof password === 'string' ? await services.passwords.hash(password) : password
      const { user, signedOut } = await services.database.transaction(async (tx) => ({
        user: await updateUser(tx, params.id, { ...change, password_hash }),
        signedOut: password === undefined ? [] : await removeAllDevices(tx, params.id),
      }))
      for (const device of signedOut) services.revocations.revoke(device)
      return { status: 200, body: user }
    },
  })

/** Throws Problem not_found, also for one who was erased. */
export async function requireUser({ users }: Services, id: string) {
  const user = await users.getPresent(id)
  if (!user) throw notFound('user')
  return user
}
