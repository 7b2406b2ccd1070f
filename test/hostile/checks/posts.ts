import { setTimeout as pause } from 'node:timers/promises'
import { Curl } from '../curl.ts'
import { agentThrough, ask, textOf } from '../through.ts'
import { as, type Finding, found, type Trial } from './finding.ts'

const LIMIT_MS = 10_000
/** Longer than the 30 s after which tables forget. */
const IDLE_S = 35
/** 100,000 characters, each escaped to 12 bytes: 1.2 MB, the largest body that a message can need. */
const largeText = '\\ud83d\\ude00'.repeat(100_000)

/** A message of a few bytes, with a `Content-Length`. */
export const checkPost = (trial: Trial) => post(trial, '{"text":"small"}', [])

/** The same in chunks, as nothing of Longwave's ever sends it. */
export const checkChunkedPost = (trial: Trial) =>
  post(trial, '{"text":"in chunks"}', ['-H', 'Transfer-Encoding: chunked'])

/** A body of 1.2 MB. It comes from a file, since no argument may be that long. */
export const checkLargePost = (trial: Trial) => post(trial, `{"text":"${largeText}"}`, [])

async function post(trial: Trial, input: string, more: readonly string[]): Promise<Finding> {
  const args = [...as(trial), '-H', 'Content-Type: application/json', ...more, '--data-binary', '@-']
  using curl = new Curl(trial.box, `/v1/conversations/${trial.conversation}/messages`, args, { input })
  if (!(await curl.ends(LIMIT_MS))) return found('stalls')
  if (curl.status === 201) return found('passes', curl.age)
  return curl.status === undefined ? found('cut', curl.complaint) : found('refused', String(curl.status))
}

/** Two messages on one kept connection, with more than 30 s between them. */
export async function checkKeepAlive(trial: Trial): Promise<Finding> {
  const agent = agentThrough(trial.box)
  agent.maxSockets = 1
  const send = async () => {
    const path = `/v1/conversations/${trial.conversation}/messages`
    const headers = { ...trial.reader.authorization, 'content-type': 'application/json' }
    const signal = AbortSignal.timeout(LIMIT_MS)
    const answer = await ask(trial.box, agent, path, {
      method: 'POST',
      headers,
      body: '{"text":"x"}',
      signal,
    })
    const { localPort } = answer.socket
    await textOf(answer)
    return localPort
  }
  try {
    const first = await send().catch((error: Error) => error)
    if (first instanceof Error) return found('cut', first.message)
    await pause(Math.min(trial.seconds, IDLE_S) * 1_000)
    const second = await send().catch((error: Error) => error)
    if (second instanceof Error)
      return found(second.name === 'AbortError' ? 'dropped' : 'cut', second.message)
    return second === first ? found('passes', 'kept') : found('cut', 'meanwhile')
  } finally {
    agent.destroy()
  }
}
