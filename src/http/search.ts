import { Problem } from '../protocol/problems.ts'
import * as schemas from '../protocol/schemas.ts'
import type { SearchPosition } from '../store/search/search.ts'
import { endpoint } from './endpoint.ts'
import { fitting } from './fitting.ts'
import type { Services } from './services.ts'

export const searchMessages = (services: Services) =>
  endpoint({
    summary: 'Full text over the messages that I may see',
    tag: 'Messages',
    signedIn: true,
    query: schemas.searchQuery,
    answers: {
      200: {
        description:
          'Those found, each with a `snippet`; `next`, if there are more, is `before` of the next page.',
        schema: schemas.foundMessages,
      },
    },
    problems: ['not_found', 'rate_limited', 'unavailable'],
    async handle({ query, caller }) {
      await services.limits.take('search', caller.user_id)
      const { page, has_more } = await services.search.find({
        user: caller.user_id,
        query: query.query,
        conversation: query.conversation_id,
        order: query.order,
        limit: query.limit,
        before: query.before === undefined ? undefined : parsePosition(query.before, query.order),
      })
      const { items, cut } = fitting(page.map(({ message }) => message))
      const last = page[items.length - 1]
      const next = last && (has_more || cut) ? formatPosition(last.position) : null
      return { status: 200, body: { messages: items, next } }
    },
  })

type Place = Pick<SearchPosition, 'at' | 'conversation_id' | 'seq'>

function formatPosition({ rank, ...place }: SearchPosition): string {
  const parts = rank ? [rank.of, ...fieldsOf(place), ...fieldsOf(rank.newest)] : fieldsOf(place)
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

function fieldsOf({ at, conversation_id, seq }: Place): (number | string)[] {
  return [at, conversation_id, seq]
}

function parsePosition(text: string, order: 'time' | 'rank'): SearchPosition {
  const fields = readFields(text)
  const place = placeOf(fields.slice(-3))
  if (order === 'time' && fields.length === 3 && place) return place
  const [of] = fields
  const own = placeOf(fields.slice(1, 4))
  if (order === 'rank' && fields.length === 7 && typeof of === 'number' && own && place) {
    return { ...own, rank: { of, newest: place } }
  }
  throw new Problem(
    'validation_failed',
    'Pass `next` of the page before as `before`, unchanged, with the same `order`.',
    {
      errors: [{ path: 'before', message: 'is not a `next` given by this server for this order' }],
    },
  )
}

function readFields(text: string): unknown[] {
  try {
    const fields: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    return Array.isArray(fields) ? fields : []
  } catch {
    return []
  }
}

function placeOf([at, conversation_id, seq]: unknown[]): Place | undefined {
  if (!Number.isSafeInteger(at) || !Number.isSafeInteger(seq)) return undefined
  if (typeof conversation_id !== 'string' || !schemas.isUuid(conversation_id)) return undefined
  return { at: at as number, conversation_id, seq: seq as number }
}
