import type { PushPayload } from '../protocol/push-payload.ts'

/** What is shown of a push. */
export type Shown = { title: string; body: string; tag: string; data: { conversation_id: string | null } }

/** What can be said of a push that cannot be read: browsers demand that something is shown. */
const SOMETHING: Shown = {
  title: 'Longwave',
  body: 'There is something new.',
  tag: 'something',
  data: { conversation_id: null },
}

/** Notifications of one conversation have one tag, so that the newer takes the place of the older. */
export function notificationOf(payload: PushPayload | undefined): Shown {
  if (payload?.type === 'announcement') {
    const { title, preview } = payload
    // The same one twice is one; two different ones stand side by side.
    const tag = `announcement ${preview ?? ''}`
    return { title, body: preview ?? 'There is an announcement.', tag, data: { conversation_id: null } }
  }
  if (payload?.type !== 'message' || !payload.conversation_id) return SOMETHING
  const { title, conversation_id } = payload
  return { title, body: bodyOf(payload), tag: conversation_id, data: { conversation_id } }
}

function bodyOf({ title, sender, preview, unread_count, mention_count }: PushPayload): string {
  const text = preview ?? 'New message'
  const said = sender !== null && sender !== title ? `${sender}: ${text}` : text
  const counts = [
    unread_count > 1 && `${unread_count} unread`,
    mention_count > 0 && (mention_count === 1 ? 'you were mentioned' : `${mention_count} mentions`),
  ].filter(Boolean)
  return counts.length > 0 ? `${said}\n${counts.join(', ')}` : said
}
