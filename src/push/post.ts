import { type Dispatcher, request } from 'undici'
import type { PushAnswer } from './push-answer.ts'

const MAX_ANSWER_BYTES = 4_096

/** A request to a push service. */
export type PushRequest = { url: URL; headers: Record<string, string>; body: Buffer }

/**
 * Posts once, and resolves as soon as the status and the beginning of the body are known; follows no redirect. Rejects
 * with what undici does, also where the connection ended instead of an answer: who falls over is not asked twice.
 */
export async function post(
  { url, headers, body }: PushRequest,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<PushAnswer> {
  const answer = await request(url, { dispatcher, method: 'POST', headers, body, signal })
  const { 'retry-after': retryAfter } = answer.headers
  // From here on the status is known, whatever becomes of the rest.
  const text = await readBeginning(answer.body)
  return { status: answer.statusCode, retryAfter: String(retryAfter ?? '') || undefined, body: text }
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
