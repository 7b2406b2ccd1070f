import { notFound, Problem } from '../../protocol/problems.ts'
import * as schemas from '../../protocol/schemas.ts'
import type { User } from '../../protocol/types.ts'
import { findErasure, requestErasure } from '../../store/erasures.ts'
import { type Exported, exportConversations, exportMessages, exportSessions } from '../../store/export.ts'
import { endpoint } from '../endpoint.ts'
import { fitting } from '../fitting.ts'
import type { Services } from '../services.ts'
import { requireUser } from './users.ts'

const TAG = 'Admin'

export const eraseUser = (services: Services) =>
  endpoint({
    summary: 'Erase a user: at once all that names them, then everything they wrote',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.userParams,
    answers: {
      202: { description: 'Signed out for ever; their messages become tombstones.', schema: schemas.erasure },
    },
    problems: ['not_found'],
    async handle({ params }) {
      const signedOut = await services.database.transaction((tx) => requestErasure(tx, params.id))
      if (!signedOut) throw notFound('user')
      for (const device of signedOut) services.revocations.revoke(device)
      services.eraser.wake()
      return { status: 202, body: await findErasure(services.database.sql, params.id) }
    },
  })

export const getErasure = (services: Services) =>
  endpoint({
    summary: 'How far the erasure of a user has come',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.userParams,
    answers: { 200: { description: 'Its progress.', schema: schemas.erasure } },
    problems: ['not_found'],
    async handle({ params }) {
      const erasure = await findErasure(services.database.sql, params.id)
      if (!erasure) throw notFound('erasure')
      return { status: 200, body: erasure }
    },
  })

const SECTIONS = {
  sessions: exportSessions,
  conversations: exportConversations,
  messages: exportMessages,
} as const
type Section = keyof typeof SECTIONS
const ORDER = Object.keys(SECTIONS) as Section[]

export const exportUser = (services: Services) =>
  endpoint({
    summary: 'Everything of a user: profile, devices, conversations and all messages they sent, in pages',
    tag: TAG,
    signedIn: false,
    admin: true,
    params: schemas.userParams,
    query: schemas.exportQuery,
    answers: { 200: { description: 'Go on with `next` until it is null.', schema: schemas.userExport } },
    problems: ['not_found'],
    async handle({ params, query }) {
      const profile = await requireUser(services, params.id)
      const page: Record<Section, unknown[]> = { sessions: [], conversations: [], messages: [] }
      const place = query.after === undefined ? undefined : parsePlace(query.after)
      const user = place ? undefined : profile
      const found = await firstFilled(services, { user: params.id, limit: query.limit, beside: user }, place)
      if (found) page[found.section] = found.items
      return { status: 200, body: { user, ...page, next: found?.next ?? null } }
    },
  })

type Place = { section: Section; after: string }

/** The next items behind a place, from the section that still has some. */
async function firstFilled(
  { database }: Services,
  request: { user: string; limit: number; beside: User | undefined },
  place: Place = { section: 'sessions', after: '' },
) {
  for (const section of ORDER.slice(ORDER.indexOf(place.section))) {
    const after = section === place.section ? place.after : ''
    const rows: Exported<unknown>[] = await SECTIONS[section](database.sql, { ...request, after })
    const { items } = fitting(
      rows.map(({ item }) => item),
      request.beside,
    )
    const last = rows[items.length - 1]
    if (last) return { section, items, next: formatPlace({ section, after: last.position }) }
  }
  return undefined
}

function formatPlace({ section, after }: Place): string {
  return `${section}.${Buffer.from(after).toString('base64url')}`
}

function parsePlace(text: string): Place {
  const [name, encoded = ''] = text.split('.')
  const section = ORDER.find((each) => each === name)
  const after = Buffer.from(encoded, 'base64url').toString()
  const isOurs = section !== 'conversations' || schemas.isUuid(after)
  if (section && isOurs && after.isWellFormed() && !after.includes('\0')) return { section, after }
  throw new Problem('validation_failed', 'Pass `next` of the page before as `after`, unchanged.', {
    errors: [{ path: 'after', message: 'is not a `next` given by this server' }],
  })
}
