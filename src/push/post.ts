import { type Dispatcher, request } from 'undici'
import type { PushAnswer } from './push-answer.ts'

const MAX_ANSWER_BYTES = 4_096

/** A request to a push service. */
export type PushRequest = { url: URL; headers: Record<string, string | number>; body: Buffer }

/**
 * Posts, and resolves as soon as the status and the beginning of the body are known; follows no redirect. Once more
 * where the connection ended instead of an answer: the service may have closed it just when it was used again. Rejects with
 * what undici does.
 */
export async function post(
  given: PushRequest,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<PushAnswer> {
  try {
    return await attempt(given, dispatcher, signal)
  } catch (error) {
    if (!isCutOff(error) || signal.aborted) throw error
    return await attempt(given, dispatcher, signal)
  }
}

async function attempt(
  { url, headers, body }: PushRequest,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<PushAnswer> {
  const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
  const answer = await request(url, { dispatcher, method: 'POST', headers: sent, body, signal })
  const { 'retry-after': retryAfter } = answer.headers
  // From here on the status is known, whatever becomes of the rest.
  const text = await readBeginning(answer.body)
  return { status: answer.statusCode, retryAfter: String(retryAfter ?? '') || undefined, body: text }
}

function isCutOff(error: unknown): boolean {
  return /^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/.test(String((error as NodeJS.ErrnoException).code))
}

/** To the end, so that the connection can be used again; what is longer ends the connection. */
async function readBeginning(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of body) {
      chunks.push(chunk)
      size += chunk.length
      if (size > MAX_ANSWER_BYTES) break
    }
  } catch {
    // Cut off: what there is will do.
  }
  return Buffer.concat(chunks).toString('utf8', 0, MAX_ANSWER_BYTES)
}
