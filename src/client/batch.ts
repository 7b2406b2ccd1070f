import type { Message } from '../protocol/types.ts'
import type { Answer } from './answers.ts'
import type { OutboxItem } from './outbox.ts'
import type { Requests } from './requests.ts'

const MOST_MESSAGES = 20
/** On a line of 50 kbit/s this takes three seconds. */
const MOST_CHARACTERS = 16_000

/** As many of these, from the first on, as go into one request. */
export function batchOf(items: readonly OutboxItem[]): OutboxItem[] {
  let characters = 0
  const tooMany = items.findIndex((item, index) => {
    characters += JSON.stringify(item).length
    return index > 0 && (index >= MOST_MESSAGES || characters > MOST_CHARACTERS)
  })
  return items.slice(0, tooMany < 0 ? items.length : tooMany)
}

/**
 * Sends messages of one conversation, which are committed in this order, and returns an answer for each. The body of one
 * that a batch did not commit is no message; sent alone it says why.
 */
export async function sendItems(
  requests: Requests,
  items: readonly OutboxItem[],
  options: { isRetry: boolean; signal: AbortSignal },
): Promise<Answer[]> {
  const [first] = items
  // Some proxies drop headers that they do not know: the key is in the body in any case.
  const contentOf = ({ key, text, reply_to, data }: OutboxItem) => ({ text, reply_to, data, client_id: key })
  if (items.length === 1 && first) {
    const path = `/v1/conversations/${encodeURIComponent(first.conversation_id)}/messages`
    return [await requests.json(path, contentOf(first), { key: first.key, ...options })]
  }
  const messages = items.map((item) => ({
    ...contentOf(item),
    conversation_id: item.conversation_id,
  }))
  const answer = await requests.json('/v1/messages', { messages }, { key: first?.key, ...options })
  if (!answer.ok) return [answer]
  const { results } = answer.body as { results?: { message?: Message }[] }
  return items.map((_, index) => ({ ...answer, body: results?.[index]?.message ?? {} }))
}
