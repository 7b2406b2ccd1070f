import { Problem } from '../../protocol/problems.ts'
import * as schemas from '../../protocol/schemas.ts'
import { newId } from '../../store/ids.ts'
import { endpoint } from '../endpoint.ts'
import { newSend, readClientId, sentReply } from '../messages.ts'
import type { Services } from '../services.ts'

export const sendMessageFor = (services: Services) =>
  endpoint({
    summary: 'Send as a user, or without `sender_id` as the system; repeatable with the same key',
    tag: 'Admin',
    signedIn: false,
    admin: true,
    creates: true,
    params: schemas.conversationParams,
    body: schemas.adminMessageBody,
    answers: {
      201: { description: 'Committed, and in every member’s inbox.', schema: schemas.message },
      200: { description: 'The same key again: the same message.', schema: schemas.message },
    },
    problems: ['not_found', 'user_not_found', 'text_too_long', 'reply_not_found', 'blocked'],
    async handle({ params, body }, { key }) {
      const client_id = readClientId(key, body) ?? newId()
      const sender = body.sender_id ?? null
      if (sender !== null) await requireSender(services, sender)
      return sentReply(await services.committer.commit(newSend(sender, params.id, body, client_id)))
    },
  })

async function requireSender({ users }: Services, id: string): Promise<void> {
  if (await users.getPresent(id)) return
  throw new Problem('user_not_found', 'There is no such sender. Check sender_id.', {
    errors: [{ path: 'sender_id', message: 'is no user' }],
  })
}
