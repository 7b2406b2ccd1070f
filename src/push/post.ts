import type { IncomingMessage } from 'node:http'
import { type Agent, request } from 'node:https'
import type { PushAnswer } from './push-answer.ts'

const MAX_ANSWER_BYTES = 4_096

/** A request to a push service. */
export type PushRequest = { url: URL; headers: Record<string, string | number>; body: Buffer }

/**
 * Posts, and resolves as soon as the status and the beginning of the body are known; follows no redirect. Once more
 * where the service closed an idle connection just when it was used again. Rejects with what Node's http does.
 */
export async function post(given: PushRequest, agent: Agent, signal: AbortSignal): Promise<PushAnswer> {
  const first = attempt(given, agent, signal)
  try {
    return await first.answer
  } catch (error) {
    if (!first.wasReused() || signal.aborted) throw error
    return await attempt(given, agent, signal).answer
  }
}

function attempt({ url, headers, body }: PushRequest, agent: Agent, signal: AbortSignal) {
  const outgoing = request(url, { method: 'POST', headers, agent, signal })
  const answer = new Promise<PushAnswer>((resolve, reject) => {
    outgoing.on('response', (incoming) => {
      // From here on the status is known, whatever becomes of the rest.
      outgoing.off('error', reject).on('error', () => {})
      void readBeginning(incoming).then((text) =>
        resolve({
          status: incoming.statusCode ?? 0,
          retryAfter: incoming.headers['retry-after'],
          body: text,
        }),
      )
    })
    outgoing.on('error', reject)
  })
  outgoing.end(body)
  return { answer, wasReused: () => outgoing.reusedSocket }
}

/** To the end, so that the connection can be used again; what is longer ends the connection. */
async function readBeginning(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of incoming) {
      chunks.push(chunk)
      size += chunk.length
      if (size > MAX_ANSWER_BYTES) break
    }
  } catch {
    // Cut off: what there is will do.
  }
  return Buffer.concat(chunks).toString('utf8', 0, MAX_ANSWER_BYTES)
}
