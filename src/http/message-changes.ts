import * as schemas from '../protocol/schemas.ts'
import { deleteMessage, editMessage } from '../store/edits.ts'
import { addReaction, removeReaction } from '../store/reactions.ts'
import { endpoint } from './endpoint.ts'
import type { Services } from './services.ts'

const TAG = 'Messages'

type Target = { params: { id: string; seq: number }; caller: { user_id: string } }

function targetOf({ params, caller }: Target) {
  return { conversation: params.id, seq: params.seq, by: caller.user_id }
}

export const changeMessage = (services: Services) =>
  endpoint({
    summary: 'Edit a message, as its sender; who is mentioned follows the text',
    tag: TAG,
    signedIn: true,
    params: schemas.messageParams,
    body: schemas.messageChangeBody,
    answers: { 200: { description: 'As edited; a long text is cut.', schema: schemas.message } },
    problems: ['not_found', 'forbidden', 'message_deleted', 'blocked', 'text_too_long', 'rate_limited'],
    async handle({ params, body, caller }) {
      await services.limits.take('send', caller.user_id)
      const target = targetOf({ params, caller })
      return { status: 200, body: await services.writer.write((unit) => editMessage(unit, target, body)) }
    },
  })

export const removeMessage = (services: Services) =>
  endpoint({
    summary: "Delete a message, as its sender or one of the group's admins; a tombstone stays",
    tag: TAG,
    signedIn: true,
    params: schemas.messageParams,
    answers: { 204: { description: 'Its text is gone, everywhere.' } },
    problems: ['not_found', 'forbidden'],
    async handle({ params, caller }) {
      await services.writer.write((unit) => deleteMessage(unit, targetOf({ params, caller })))
      return { status: 204 }
    },
  })

export const putReaction = (services: Services) =>
  endpoint({
    summary: 'React with an emoji, once per person',
    tag: TAG,
    signedIn: true,
    params: schemas.reactionParams,
    answers: { 204: { description: 'It is there; the event carries all reactions.' } },
    problems: [
      'not_found',
      'validation_failed',
      'message_deleted',
      'blocked',
      'too_many_reactions',
      'rate_limited',
    ],
    async handle({ params, caller }) {
      await services.limits.take('send', caller.user_id)
      await services.writer.write((unit) => addReaction(unit, targetOf({ params, caller }), params.emoji))
      return { status: 204 }
    },
  })

export const deleteReaction = (services: Services) =>
  endpoint({
    summary: 'Take my reaction back',
    tag: TAG,
    signedIn: true,
    params: schemas.reactionParams,
    answers: { 204: { description: 'It is not there any more.' } },
    problems: ['not_found', 'validation_failed'],
    async handle({ params, caller }) {
      await services.writer.write((unit) => removeReaction(unit, targetOf({ params, caller }), params.emoji))
      return { status: 204 }
    },
  })
