import { type Chat, connect } from '../../../src/client/client.ts'
import type { Message } from '../../../src/protocol/types.ts'
import { until } from '../../support/wait.ts'
import type { Box } from '../box.ts'
import { fetchThrough } from '../fetch-through.ts'
import { type Meeting, meet } from './meeting.ts'
import type { Arrival, Journey, MakeTraveller } from './traveller.ts'

const PATIENCE_MS = 5_000

/** `longwave/client` in Node, on a fresh profile: it chooses its transports itself. */
export const makeSdk: MakeTraveller = async (origin) => {
  const meeting = await meet(origin)
  const start = (box: Box) => travel(box, meeting)
  return { name: 'longwave/client', origin, start, [Symbol.asyncDispose]: () => meeting.end() }
}

async function travel(box: Box, { near, conversation, cursor, arrived, say }: Meeting): Promise<Journey> {
  const received: Arrival[] = []
  const through = fetchThrough(box)
  const chat: Chat = connect({
    url: box.url,
    getToken: () => near.session.access_token,
    after: cursor,
    ...(through && { fetch: through.fetch }),
  })
  chat.on('event', (event) => {
    const { sender_id, text } = (event.message ?? {}) as Partial<Message>
    if (text !== undefined && sender_id !== near.id) received.push({ text, at: performance.now() })
  })
  await until('the client', () => chat.status.state === 'live', PATIENCE_MS).catch(() => {})
  return {
    received,
    sent: arrived,
    get rung() {
      return chat.status.state === 'connecting' ? undefined : chat.status.transport
    },
    say,
    // One that is refused is missing at the far end.
    send: (text) => void chat.send(conversation, text).catch(() => {}),
    async stop() {
      chat.close()
      through?.close()
    },
  }
}
