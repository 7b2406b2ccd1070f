import type { IncomingMessage } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { agentThrough, ask } from '../through.ts'
import { type Follow, handOn } from './follow.ts'

const RETRY_MS = 2_000

/** What `EventSource` does, no more: it comes back to where it was after an end, for good stays away after a refusal. */
export const followByEventSource: Follow = async (way, { reader, cursor }, signal, onText, onConnected) => {
  const agent = agentThrough(way)
  let last = cursor
  for (let isRefused = false; !signal.aborted && !isRefused; ) {
    const headers = { ...reader.authorization, accept: 'text/event-stream', 'last-event-id': last }
    const answer = await ask(way, agent, '/v1/events', { headers, signal }).catch(() => undefined)
    const type = answer?.headers['content-type'] ?? ''
    isRefused = answer !== undefined && (answer.statusCode !== 200 || !type.startsWith('text/event-stream'))
    if (isRefused) break
    if (answer) {
      await read(answer, ({ id, event, data }) => {
        last = id ?? last
        if (event === 'hello') onConnected()
        if (event === undefined && data !== '') handOn([JSON.parse(data)], reader, onText)
      })
    }
    await pause(RETRY_MS, null, { signal }).catch(() => {})
  }
  agent.destroy()
}

type Frame = { id?: string; event?: string; data: string }

/** Resolves when the stream has ended, well or not. A frame that was begun and not ended does not count. */
async function read(answer: IncomingMessage, onFrame: (frame: Frame) => void): Promise<void> {
  let rest = ''
  answer.setEncoding('utf8')
  answer.on('error', () => {})
  answer.on('data', (chunk: string) => {
    const frames = (rest + chunk).split('\n\n')
    rest = frames.pop() ?? ''
    for (const text of frames) onFrame(parse(text))
  })
  await new Promise((resolve) => answer.once('close', resolve))
}

function parse(text: string): Frame {
  const frame: Frame = { data: '' }
  for (const line of text.split('\n')) {
    const [, field, value = ''] = /^(\w+): ?(.*)$/s.exec(line) ?? []
    if (field === 'id' || field === 'event') frame[field] = value
    else if (field === 'data') frame.data += value
  }
  return frame
}
