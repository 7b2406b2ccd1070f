import { hash } from 'node:crypto'
import { Problem } from '../protocol/problems.ts'
import * as schemas from '../protocol/schemas.ts'
import type { Data } from '../protocol/types.ts'
import type { Send } from '../store/commit-group.ts'
import type { Sent } from '../store/committer.ts'
import { newId } from '../store/ids.ts'
import { type HistoryAnchor, readHistory, readMessage } from '../store/messages.ts'
import { endpoint, type Reply } from './endpoint.ts'
import { fitting } from './fitting.ts'
import type { Services } from './services.ts'

const TAG = 'Messages'

type Content = { text: string; data?: Data | null | undefined; reply_to?: number | null | undefined }

/** A send to a conversation. Without a client's key the server makes one, so that its own repetitions stay safe. */
export function newSend(
  sender_id: string | null,
  conversation_id: string,
  content: Content,
  client_id: string,
): Send {
  const { text, data = null, reply_to = null } = content
  return {
    id: newId(),
    sender_id,
    key: client_id,
    request_hash: hash('sha256', JSON.stringify([conversation_id, text, reply_to, data]), 'buffer'),
    conversation_id,
    text,
    client_id,
    reply_to,
    data,
  }
}

/** The key of a send, in the header or the body. Throws Problem validation_failed where they differ. */
export function readClientId(
  key: string | undefined,
  { client_id }: { client_id?: string | null | undefined },
): string | undefined {
  if (key === undefined || key === (client_id ?? key)) return key ?? client_id ?? undefined
  throw new Problem('validation_failed', 'Idempotency-Key and client_id differ. Send one of them.', {
    errors: [{ path: 'client_id', message: 'differs from the header Idempotency-Key' }],
  })
}

/** The answer to a send: 201 the first time, 200 and a header when its key was used before. */
export function sentReply({ message, replayed }: Sent): Reply {
  if (!replayed) return { status: 201, body: message }
  return { status: 200, body: message, headers: { 'Idempotent-Replayed': 'true' } }
}

export const sendMessage = (services: Services) =>
  endpoint({
    summary: 'Send a message; repeat with the same key until it is answered',
    tag: TAG,
    signedIn: true,
    creates: true,
    params: schemas.conversationParams,
    body: schemas.newMessageBody,
    answers: {
      201: { description: 'Committed, and in every member’s inbox.', schema: schemas.message },
      200: { description: 'The same key again: the same message.', schema: schemas.message },
    },
    problems: ['not_found', 'blocked', 'text_too_long', 'idempotency_mismatch', 'reply_not_found'],
    async handle({ params, body, caller }, { key }) {
      const client_id = readClientId(key, body) ?? newId()
      await services.limits.take('send', caller.user_id)
      return sentReply(await services.committer.commit(newSend(caller.user_id, params.id, body, client_id)))
    },
  })

export const getHistory = (services: Services) =>
  endpoint({
    summary: 'Messages of a conversation, ascending; without an anchor the latest page',
    tag: TAG,
    signedIn: true,
    params: schemas.conversationParams,
    query: schemas.historyQuery,
    answers: {
      200: {
        description: '`has_more` in the direction asked for; a page may end early.',
        schema: schemas.messages,
      },
    },
    problems: ['not_found'],
    async handle({ params, query, caller }) {
      const anchor = anchorOf(query)
      const request = { user: caller.user_id, conversation: params.id, anchor, limit: query.limit }
      const { messages, has_more } = await readHistory(services.database.sql, request)
      // What is cut is what is furthest from the anchor.
      if (anchor.kind === 'after') {
        const { items, cut } = fitting(messages)
        return { status: 200, body: { messages: items, has_more: has_more || cut } }
      }
      if (anchor.kind === 'around') {
        const { items, cut } = fitting([...messages].sort(byDistance(anchor.seq)))
        items.sort((a, b) => a.seq - b.seq)
        return { status: 200, body: { messages: items, has_more: has_more || cut } }
      }
      const { items, cut } = fitting(messages.reverse())
      return { status: 200, body: { messages: items.reverse(), has_more: has_more || cut } }
    },
  })

function byDistance(seq: number) {
  return (a: { seq: number }, b: { seq: number }) => Math.abs(a.seq - seq) - Math.abs(b.seq - seq)
}

function anchorOf(query: {
  before_seq?: number | undefined
  after_seq?: number | undefined
  around_seq?: number | undefined
}): HistoryAnchor {
  const given = (['before', 'after', 'around'] as const).flatMap((kind) => {
    const seq = query[`${kind}_seq`]
    return seq === undefined ? [] : [{ kind, seq }]
  })
  if (given.length > 1) {
    throw new Problem('validation_failed', 'Give only one of before_seq, after_seq and around_seq.')
  }
  return given[0] ?? { kind: 'latest' }
}

export const getMessage = (services: Services) =>
  endpoint({
    summary: 'One message with its whole text, or a part of it',
    tag: TAG,
    signedIn: true,
    params: schemas.messageParams,
    query: schemas.messageQuery,
    answers: {
      200: {
        description: 'The message; `text_from` and `text_limit` count code points.',
        schema: schemas.message,
      },
    },
    problems: ['not_found'],
    async handle({ params, query, caller }) {
      const message = await readMessage(services.database.sql, {
        user: caller.user_id,
        conversation: params.id,
        seq: params.seq,
        textFrom: query.text_from,
        textLimit: query.text_limit,
      })
      return { status: 200, body: message }
    },
  })
