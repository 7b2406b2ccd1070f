import { notFound } from '../../protocol/problems.ts'
import * as schemas from '../../protocol/schemas.ts'
import { removeAllDevices } from '../../store/devices.ts'
import { holdUser } from '../../store/users.ts'
import { creating } from '../creating.ts'
import { endpoint } from '../endpoint.ts'
import { fitting } from '../fitting.ts'
import type { Services } from '../services.ts'
import { type Opened, openSession } from '../sessions.ts'
import { BACK_END } from './access.ts'
import { requireUser } from './users.ts'

const TAG = 'Admin'

export const createSessionFor = (services: Services) =>
  endpoint({
    summary: 'Sign a user in as a new device, without a password',
    tag: TAG,
    signedIn: false,
    admin: true,
    creates: true,
    params: schemas.userParams,
    body: schemas.adminSessionBody,
    answers: { 201: { description: 'The session, to be handed to the device.', schema: schemas.session } },
    problems: ['not_found'],
    async handle({ params, body }, facts) {
      const user = await requireUser(services, params.id)
      const { device_name } = body ?? {}
      const given = { sender: BACK_END, request: body ?? null }
      const reply = await creating(services, facts, given, async ({ tx }) => {
        if (!(await holdUser(tx, user.id))) throw notFound('user')
        return { status: 201, body: await openSession(services, tx, user, { device_name, cookie: false }) }
      })
      return { ...reply, body: (reply.body as Opened).session }
    },
  })

export const listSessionsOf = (services: Services) =>
  endpoint({
    summary: 'A user’s devices',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.userParams,
    answers: { 200: { description: 'Latest first.', schema: schemas.adminSessions } },
    problems: ['not_found'],
    async handle({ params }) {
      await requireUser(services, params.id)
      const devices = await services.devices.list(params.id)
      const { items, cut } = fitting(
        devices.map(({ id, name, created_at, last_seen_at }) => ({
          device_id: id,
          name,
          created_at: created_at.toISOString(),
          last_seen_at: last_seen_at.toISOString(),
        })),
      )
      return { status: 200, body: { sessions: items, has_more: cut } }
    },
  })

export const signOutFor = (services: Services) =>
  endpoint({
    summary: 'Sign one of a user’s devices out',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.adminSessionParams,
    answers: { 204: { description: 'Its tokens are void; its streams and polls end within 5 s.' } },
    problems: ['not_found'],
    async handle({ params }) {
      const removed = await services.devices.remove(params.id, params.device_id)
      if (!removed) throw notFound('device')
      services.revocations.revoke(removed)
      return { status: 204 }
    },
  })

export const signOutAllFor = (services: Services) =>
  endpoint({
    summary: 'Sign all of a user’s devices out',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.userParams,
    answers: { 204: { description: 'Their tokens are void; their streams and polls end within 5 s.' } },
    problems: ['not_found'],
    async handle({ params }) {
      await requireUser(services, params.id)
      const removed = await services.database.transaction((tx) => removeAllDevices(tx, params.id))
      for (const device of removed) services.revocations.revoke(device)
      return { status: 204 }
    },
  })
