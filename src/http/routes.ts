import { adminRoutes } from './admin/routes.ts'
import { getAnnouncements } from './announcements.ts'
import { sendBatch } from './batch.ts'
import * as blocks from './blocks.ts'
import * as conversations from './conversations.ts'
import { putCursor } from './devices.ts'
import type { Endpoint } from './endpoint.ts'
import * as changes from './message-changes.ts'
import * as messages from './messages.ts'
import { getGateway } from './operations.ts'
import * as presence from './presence.ts'
import { deletePushSubscription, putPushSubscription } from './push-subscription.ts'
import { searchMessages } from './search.ts'
import type { Services } from './services.ts'
import * as sessions from './sessions.ts'
import * as users from './users.ts'

export type Routes = readonly (readonly [method: string, path: string, endpoint: Endpoint])[]

/** The whole API on one screen, but for `/v1/events` (events.ts), which streams and is dispatched before the router. */
export function apiRoutes(services: Services): Routes {
  return [
    ['GET', '/v1/gateway', getGateway(services)],

    ['POST', '/v1/accounts', sessions.signUp(services)],
    ['POST', '/v1/sessions', sessions.signIn(services)],
    ['GET', '/v1/sessions', sessions.listSessions(services)],
    ['POST', '/v1/sessions/refresh', sessions.refresh(services)],
    ['DELETE', '/v1/sessions/{device_id}', sessions.signOut(services)],
    ['POST', '/v1/stream-tickets', sessions.createStreamTicket(services)],

    ['GET', '/v1/users/me', users.getMe(services)],
    ['PATCH', '/v1/users/me', users.changeMe(services)],
    ['PUT', '/v1/users/me/password', sessions.changePassword(services)],
    ['GET', '/v1/users/me/blocks', blocks.getBlocks(services)],
    ['PUT', '/v1/users/me/blocks/{user_id}', blocks.putBlock(services)],
    ['DELETE', '/v1/users/me/blocks/{user_id}', blocks.deleteBlock(services)],
    ['GET', '/v1/users', users.findUsers(services)],
    ['GET', '/v1/users/{id}', users.getUser(services)],

    ['POST', '/v1/conversations', conversations.createConversation(services)],
    ['GET', '/v1/conversations', conversations.listConversations(services)],
    ['GET', '/v1/conversations/{id}', conversations.getConversation(services)],
    ['PATCH', '/v1/conversations/{id}', conversations.changeConversation(services)],
    ['GET', '/v1/conversations/{id}/members', conversations.getMembers(services)],
    ['PUT', '/v1/conversations/{id}/members/{user_id}', conversations.putConversationMember(services)],
    ['DELETE', '/v1/conversations/{id}/members/{user_id}', conversations.deleteConversationMember(services)],
    ['PUT', '/v1/conversations/{id}/read', conversations.putRead(services)],
    ['POST', '/v1/conversations/{id}/typing', presence.postTyping(services)],

    ['POST', '/v1/conversations/{id}/messages', messages.sendMessage(services)],
    ['GET', '/v1/conversations/{id}/messages', messages.getHistory(services)],
    ['GET', '/v1/conversations/{id}/messages/{seq}', messages.getMessage(services)],
    ['PATCH', '/v1/conversations/{id}/messages/{seq}', changes.changeMessage(services)],
    ['DELETE', '/v1/conversations/{id}/messages/{seq}', changes.removeMessage(services)],
    ['PUT', '/v1/conversations/{id}/messages/{seq}/reactions/{emoji}', changes.putReaction(services)],
    ['DELETE', '/v1/conversations/{id}/messages/{seq}/reactions/{emoji}', changes.deleteReaction(services)],
    ['POST', '/v1/messages', sendBatch(services)],

    ['GET', '/v1/search', searchMessages(services)],

    ['PUT', '/v1/devices/current/cursor', putCursor(services)],
    ['PUT', '/v1/devices/current/push-subscription', putPushSubscription(services)],
    ['DELETE', '/v1/devices/current/push-subscription', deletePushSubscription(services)],
    ['GET', '/v1/presence', presence.getPresence(services)],
    ['GET', '/v1/announcements', getAnnouncements(services)],

    ...adminRoutes(services),
  ]
}
