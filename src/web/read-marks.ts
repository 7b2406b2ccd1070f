import { put } from './api.ts'
import type { Known } from './conversation-events.ts'

const SETTLE_MS = 400

/** Marks the open conversation as read while a person is looking. The count itself changes by the event that follows. */
export function readMarks(open: () => Known | undefined, isActive: () => boolean): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let marked = ''
  const mark = async () => {
    timer = undefined
    const conversation = open()
    if (!conversation || !isActive() || conversation.unread_count === 0) return
    const place = `${conversation.id} ${conversation.last_seq}`
    if (place === marked) return
    marked = place
    try {
      await put(`/v1/conversations/${conversation.id}/read`, { seq: conversation.last_seq })
    } catch {
      // The next message, or a look at the page, tries again.
      marked = ''
    }
  }
  return () => {
    if (timer === undefined) timer = setTimeout(() => void mark(), SETTLE_MS)
  }
}
