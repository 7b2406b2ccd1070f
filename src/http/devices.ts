import { parseCursor } from '../protocol/cursor.ts'
import { Problem } from '../protocol/problems.ts'
import * as schemas from '../protocol/schemas.ts'
import { endpoint } from './endpoint.ts'
import type { Services } from './services.ts'

export const putCursor = (services: Services) =>
  endpoint({
    summary: 'Acknowledge all up to a cursor for this device, and renew its lease',
    tag: 'Inbox',
    signedIn: true,
    body: schemas.cursorBody,
    answers: { 204: { description: 'Acknowledged; never backwards within an epoch.' } },
    problems: ['malformed_cursor', 'cursor_unknown'],
    async handle({ body, caller }) {
      const cursor = parseCursor(body.cursor)
      if (!cursor) throw malformedCursor()
      const known = services.hub.peek(caller.user_id)?.recall(cursor)
      const opening = known ?? (await services.inbox.open(caller.user_id, cursor))
      // An old position is still one that was processed; only another life's or the future's is not.
      if (opening.reset === 'unknown') {
        throw new Problem(
          'cursor_unknown',
          'This cursor is not of this inbox. Reload GET /v1/conversations and take its cursor.',
        )
      }
      const { user_id, device_id } = caller
      services.presence.renew({ user_id, device_id }, body.active ?? null)
      await services.acknowledgements.record({
        user_id,
        device_id,
        cursor,
        lease: { active: body.active ?? null },
      })
      return { status: 204 }
    },
  })

export function malformedCursor(): Problem {
  return new Problem('malformed_cursor', 'Send a cursor exactly as the server gave it.')
}
