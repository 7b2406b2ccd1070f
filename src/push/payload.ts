import type { DuePush, PushView } from '../store/pushes.ts'
import type { PushOptions, PushPayload } from './push.ts'

/** Encrypted it is about 100 bytes longer, and 3 KB are to hold it (RFC 8291: some services take no more than 4). */
const MAX_PAYLOAD_BYTES = 2_800
const MAX_NAME = 100
const MAX_PREVIEW = 240
/** What is left of a preview that a push service found too large. */
const SHORT_PREVIEW = 60
const DAY_SECONDS = 86_400
/** Browsers may be offline for long: taking back a notification is of use as long as that may be shown. */
const MIN_TTL_SECONDS = 60

/** What is sent is the newest state. `previews`: whether the operator wants texts to be shown. */
export function payloadOf({ about, withdrawing }: DuePush, view: PushView, previews: boolean): PushPayload {
  const { kind, sender, unread_count, mention_count } = view
  if (withdrawing) {
    const nothing = { title: '', sender: null, preview: null }
    return { type: 'read', conversation_id: about, ...nothing, unread_count, mention_count }
  }
  const preview = previews && view.content !== null ? cut(view.content, MAX_PREVIEW) : null
  if (kind === 'announcement') {
    return fitting({
      ...{ type: 'announcement', conversation_id: null, title: 'Announcement', sender: null, preview },
      ...{ unread_count: 0, mention_count: 0 },
    })
  }
  const name = cut(sender ?? '', MAX_NAME)
  const title = (kind === 'group' && view.title !== null && cut(view.title, MAX_NAME)) || name
  return fitting({
    ...{ type: 'message', conversation_id: about, title, sender: name, preview },
    ...{ unread_count, mention_count },
  })
}

/** A smaller one, for a push service that takes less; nothing if it is as small as can be. */
export function shorten(payload: PushPayload): PushPayload | undefined {
  if (payload.preview === null) return undefined
  const isLong = payload.preview.length > SHORT_PREVIEW * 2
  return { ...payload, preview: isLong ? cut(payload.preview, SHORT_PREVIEW) : null }
}

/** How a push service is to treat it. Of one topic it keeps the last: so what was read replaces what was not yet delivered. */
export function optionsOf({ about, age_ms, withdrawing }: DuePush, view: PushView): PushOptions {
  const isPersonal = view.kind === 'direct' || view.mention_count > 0
  return {
    topic: Buffer.from(about.replaceAll('-', ''), 'hex').toString('base64url'),
    urgency: withdrawing ? 'low' : isPersonal ? 'high' : 'normal',
    ttlSeconds: Math.max(Math.floor(DAY_SECONDS - age_ms / 1_000), MIN_TTL_SECONDS),
  }
}

function fitting(payload: PushPayload): PushPayload {
  for (let smaller: PushPayload | undefined = payload; smaller; smaller = shorten(smaller)) {
    if (Buffer.byteLength(JSON.stringify(smaller)) <= MAX_PAYLOAD_BYTES) return smaller
  }
  return { ...payload, preview: null, title: cut(payload.title, MAX_NAME / 4), sender: null }
}

/** The first `length` characters that a reader sees, so that no emoji is torn apart. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text
  let cutText = ''
  for (const { segment } of new Intl.Segmenter().segment(text.slice(0, length * 2))) {
    if (cutText.length + segment.length > length) break
    cutText += segment
  }
  return `${cutText}…`
}
