import type { Routes } from '../routes.ts'
import type { Services } from '../services.ts'
import * as broadcasts from './broadcasts.ts'
import * as conversations from './conversations.ts'
import { sendMessageFor } from './messages.ts'
import * as sessions from './sessions.ts'
import { getUsage } from './usage.ts'
import * as data from './user-data.ts'
import * as users from './users.ts'

/** What the product's back end calls, with the ADMIN_TOKEN; without one set none of it is there. */
export function adminRoutes(services: Services): Routes {
  return [
    ['POST', '/v1/admin/users', users.createUserFor(services)],
    ['GET', '/v1/admin/users/{id}', users.getUserFor(services)],
    ['PATCH', '/v1/admin/users/{id}', users.changeUserFor(services)],
    ['DELETE', '/v1/admin/users/{id}', data.eraseUser(services)],
    ['GET', '/v1/admin/users/{id}/erasure', data.getErasure(services)],
    ['GET', '/v1/admin/users/{id}/export', data.exportUser(services)],
    ['POST', '/v1/admin/users/{id}/sessions', sessions.createSessionFor(services)],
    ['GET', '/v1/admin/users/{id}/sessions', sessions.listSessionsOf(services)],
    ['DELETE', '/v1/admin/users/{id}/sessions', sessions.signOutAllFor(services)],
    ['DELETE', '/v1/admin/users/{id}/sessions/{device_id}', sessions.signOutFor(services)],

    ['POST', '/v1/admin/conversations', conversations.createConversationFor(services)],
    ['GET', '/v1/admin/conversations/{id}', conversations.getConversationFor(services)],
    ['PATCH', '/v1/admin/conversations/{id}', conversations.changeConversationFor(services)],
    ['GET', '/v1/admin/conversations/{id}/members', conversations.getMembersFor(services)],
    ['PUT', '/v1/admin/conversations/{id}/members/{user_id}', conversations.putMemberFor(services)],
    ['DELETE', '/v1/admin/conversations/{id}/members/{user_id}', conversations.removeMemberFor(services)],
    ['POST', '/v1/admin/conversations/{id}/messages', sendMessageFor(services)],

    ['POST', '/v1/admin/broadcasts', broadcasts.postBroadcast(services)],
    ['GET', '/v1/admin/broadcasts', broadcasts.getBroadcasts(services)],
    ['GET', '/v1/admin/broadcasts/{id}', broadcasts.getBroadcast(services)],
    ['DELETE', '/v1/admin/broadcasts/{id}', broadcasts.deleteBroadcast(services)],

    ['GET', '/v1/admin/usage', getUsage(services)],
  ]
}
