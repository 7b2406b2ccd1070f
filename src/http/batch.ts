import { hash } from 'node:crypto'
import type { z } from 'zod'
import { MAX_ANSWER_BYTES, MAX_BATCH_RECIPIENTS } from '../protocol/constants.ts'
import { notFound, Problem } from '../protocol/problems.ts'
import * as schemas from '../protocol/schemas.ts'
import type { Message } from '../protocol/types.ts'
import { findBlockers } from '../store/blocks.ts'
import { blocked, type Send } from '../store/commit-group.ts'
import type { Committer, Sent } from '../store/committer.ts'
import { findDirect, openDirect } from '../store/conversations.ts'
import { claimMulticastKeys } from '../store/multicast.ts'
import { endpoint, parse } from './endpoint.ts'
import { newSend } from './messages.ts'
import { toProblem } from './problem-answer.ts'
import type { Services } from './services.ts'

type Item = z.output<typeof schemas.batchItem>
type Multicast = Extract<Item, { to: string[] }>
type Recipient = { user_id: string; status: number; conversation_id?: string; seq?: number; code?: string }
type Result = { status: number; message?: Message; recipients?: Recipient[]; code?: string }

export const sendBatch = (services: Services) =>
  endpoint({
    summary: 'Send up to 100 messages, to conversations or (`to`) to people; each succeeds or fails alone',
    tag: 'Messages',
    signedIn: true,
    body: schemas.batchBody,
    answers: {
      200: {
        description:
          'A result per message, in order; of those that do not fit 48 KB, `message` is left out, then `recipients`.',
        schema: schemas.batchResults,
      },
    },
    problems: ['batch_too_large', 'rate_limited'],
    async handle({ body, caller }) {
      const items = body.messages.map((raw) => outcomeOf(() => parse(schemas.batchItem, raw, 'message')))
      const recipients = items.reduce(
        (sum, item) => sum + (item instanceof Problem ? 0 : recipientsOf(item)),
        0,
      )
      if (recipients > MAX_BATCH_RECIPIENTS) {
        throw new Problem(
          'batch_too_large',
          `A batch has at most ${MAX_BATCH_RECIPIENTS} recipients. Split it.`,
        )
      }
      await services.limits.take('send', caller.user_id, Math.max(1, recipients))
      const peers = await preparePeers(services, caller.user_id, items)
      const commit = inOrder(services.committer)
      // All are handed to the committer in one tick, so that they are committed in the order of the batch.
      const sending = items.map((item) =>
        item instanceof Problem ? failed(item) : sendItem(commit, caller.user_id, item, peers),
      )
      return { status: 200, body: fitResults(await Promise.all(sending)) }
    },
  })

function outcomeOf<T>(work: () => T): T | Problem {
  try {
    return work()
  } catch (error) {
    return toProblem(error)
  }
}

function isMulticast(item: Item): item is Multicast {
  return item.to !== undefined
}

function recipientsOf(item: Item): number {
  return isMulticast(item) ? new Set(item.to).size : 1
}

function failed(problem: Problem): Result {
  return { status: problem.status, code: problem.code }
}

/** What multicasts need before anything is sent: their keys, and the direct conversations, opened where missing. */
type Peers = {
  holdsKey: ReadonlyMap<Item, boolean>
  conversations: ReadonlyMap<string, string>
  /** Those who do not let the sender start one. */
  blockers: ReadonlySet<string>
}

async function preparePeers(services: Services, me: string, items: (Item | Problem)[]): Promise<Peers> {
  const multicasts = items.filter(
    (item): item is Multicast => !(item instanceof Problem) && isMulticast(item),
  )
  if (multicasts.length === 0) return { holdsKey: new Map(), conversations: new Map(), blockers: new Set() }
  const claims = multicasts.map((item) => ({ key: item.client_id, request_hash: hashOf(item) }))
  const held = await claimMulticastKeys(services.database.sql, me, claims)
  const to = new Set(multicasts.flatMap((item, index) => (held[index] ? item.to : [])))
  return {
    holdsKey: new Map(multicasts.map((item, index) => [item, held[index] === true])),
    ...(await directConversations(services, me, [...to])),
  }
}

function hashOf({ to, text, data = null }: Multicast): Buffer {
  return hash('sha256', JSON.stringify([[...new Set(to)], text, data]), 'buffer')
}

type Commit = (send: Send) => Promise<Sent>

/** In one conversation none goes ahead of one that came before it in the batch and failed, unless that was refused. */
function inOrder(committer: Committer): Commit {
  const last = new Map<string, Send>()
  return (send) => {
    const behind = last.get(send.conversation_id)
    last.set(send.conversation_id, send)
    return committer.commit(send, behind)
  }
}

async function sendItem(commit: Commit, me: string, item: Item, peers: Peers): Promise<Result> {
  try {
    if (isMulticast(item)) return await multicast(commit, me, item, peers)
    const sent = await commit(newSend(me, item.conversation_id, item, item.client_id))
    return { status: statusOf(sent), message: sent.message }
  } catch (error) {
    return failed(toProblem(error))
  }
}

function statusOf({ replayed }: Sent): number {
  return replayed ? 200 : 201
}

/** Each recipient gets it in the direct conversation with the sender, under a key of its own made of the multicast's. */
async function multicast(commit: Commit, me: string, item: Multicast, peers: Peers): Promise<Result> {
  if (!peers.holdsKey.get(item)) throw keyMismatch()
  const outcomes = await Promise.all(
    [...new Set(item.to)].map(async (user_id): Promise<Recipient & { message?: Message }> => {
      try {
        const conversation_id = peers.conversations.get(user_id)
        if (conversation_id === undefined) throw peers.blockers.has(user_id) ? blocked() : notFound('user')
        const send = newSend(me, conversation_id, item, item.client_id)
        // A blank is in no client's key, so these never meet one.
        const sent = await commit({ ...send, key: `${item.client_id} ${user_id}` })
        const { message } = sent
        return { user_id, status: statusOf(sent), conversation_id, seq: message.seq, message }
      } catch (error) {
        return { user_id, ...failed(toProblem(error)) }
      }
    }),
  )
  return summarise(outcomes)
}

function keyMismatch(): Problem {
  return new Problem(
    'idempotency_mismatch',
    'This key was used for another message. Take a new key for a new message.',
  )
}

function summarise(outcomes: (Recipient & { message?: Message })[]): Result {
  const recipients = outcomes.map(({ message: _, ...recipient }) => recipient)
  const [only] = outcomes
  const best =
    recipients.find((each) => each.status === 201) ?? recipients.find((each) => each.status === 200) ?? only
  return {
    status: best?.status ?? 201,
    ...(outcomes.length === 1 && only?.message && { message: only.message }),
    ...(best?.code !== undefined && { code: best.code }),
    recipients,
  }
}

async function directConversations(
  { database, writer }: Services,
  me: string,
  to: string[],
): Promise<Pick<Peers, 'conversations' | 'blockers'>> {
  const known = await findDirect(database.sql, me, to)
  const missing = to.filter((id) => !known.has(id) && id !== me)
  if (missing.length === 0) return { conversations: known, blockers: new Set() }
  // Where there is a conversation the send itself is judged, behind its key: what was sent before stays sent.
  const blockers = await findBlockers(database.sql, me, missing)
  const welcome = missing.filter((id) => !blockers.has(id))
  const opened = await writer.write((unit) => openDirect(unit, me, welcome))
  for (const [peer, { id }] of opened) known.set(peer, id)
  return { conversations: known, blockers }
}

/**
 * Keeps the answer within 48 KB: first come the statuses, which are never left out, then in order the recipients' and
 * then whatever else fits. The first result has its recipients in any case.
 */
function fitResults(results: Result[]): { results: Result[] } {
  const bare = results.map(({ status, code }) => ({ status, ...(code !== undefined && { code }) }))
  const fitted: Result[] = [...bare]
  let bytes = sizeOf({ results: fitted })
  for (const shape of [withoutExtras, (result: Result) => result]) {
    for (const [index, result] of results.entries()) {
      const fuller = shape(result)
      const extra = sizeOf(fuller) - sizeOf(fitted[index])
      const isFirst = index === 0 && shape === withoutExtras
      if (!isFirst && bytes + extra > MAX_ANSWER_BYTES) continue
      fitted[index] = fuller
      bytes += extra
    }
  }
  return { results: fitted }
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}

function withoutExtras({ status, code, recipients }: Result): Result {
  return {
    status,
    ...(code !== undefined && { code }),
    ...(recipients && { recipients: recipients.map(({ conversation_id: _, seq: __, ...rest }) => rest) }),
  }
}
