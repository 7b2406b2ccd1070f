import { classify, parseJson } from './answers.ts'
import type { Effect, Failure } from './ladder/draft.ts'
import { isStream } from './ladder/rungs.ts'
import { HEARTBEAT_SECONDS } from './ladder/timing.ts'
import { postOf, type Requests } from './requests.ts'
import { type Frame, SseParser } from './sse-parser.ts'

export type Open = Extract<Effect, { type: 'open' }>

/** What an open attempt says of itself. Once it was closed nobody listens any more. */
export type Hearer = {
  frame(frame: Frame): void
  bytes(): void
  /** The body of a poll's answer. */
  answer(body: unknown): void
  /** A stream ended behind a whole frame. */
  ended(): void
  failed(failure: Failure): void
}

export type EventSourceClass = new (url: string, init?: { withCredentials?: boolean }) => EventSource

export type Transports = { requests: Requests; EventSource: EventSourceClass | undefined; hasBodies: boolean }

const NAMED = ['hello', 'heartbeat', 'reset', 'bye']

/** Opens one attempt from `after`, and returns what closes it. */
export function openAttempt(
  transports: Transports,
  open: Open & { after: string | undefined; isRetry: boolean },
  hearer: Hearer,
): () => void {
  const closing = new AbortController()
  const { signal } = closing
  const fail = (error: unknown) => hearer.failed({ fault: 'broken', reason: String(error) })
  const { EventSource } = transports
  if (open.rung === 'sse' && EventSource) {
    const { path } = requestOf({ ...open, isPost: false })
    openEventSource(transports, EventSource, path, hearer, signal).catch(fail)
  } else {
    const { path, init } = requestOf(open)
    const read = isStream(open.rung) ? readStream : readAnswer
    transports.requests
      .send(path, { ...init, signal, isRetry: open.isRetry })
      .then((response) => read(response, transports, hearer, signal))
      .catch(fail)
  }
  return () => closing.abort()
}

type Asked = { path: string; init: RequestInit }

/** A GET, unless that is to be a POST. Every URL is used once: some caches merge requests for the same one. */
function requestOf({
  rung,
  attempt,
  wait,
  limit,
  padding,
  after,
  isPost,
}: Open & { after: string | undefined }): Asked {
  const isPoll = !isStream(rung)
  const fields = {
    as: isPoll ? 'poll' : rung === 'sse' ? 'sse' : 'octet',
    ...(after !== undefined && { after }),
    wait,
    // It ends a stream.
    ...((isPoll || rung === 'sse-slices') && { limit }),
    heartbeat: HEARTBEAT_SECONDS,
    padding,
    _: `${attempt}.${Math.random()}`,
  }
  if (isPost) return { path: '/v1/events', init: postOf(JSON.stringify(fields)) }
  // Not every runtime has the whole of URLSearchParams.
  const query = Object.entries(fields).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  return { path: `/v1/events?${query.join('&')}`, init: {} }
}

/** The browser's own: it says only that something went wrong, and must not reconnect with an old URL. */
async function openEventSource(
  { requests }: Transports,
  EventSource: EventSourceClass,
  path: string,
  hearer: Hearer,
  signal: AbortSignal,
): Promise<void> {
  let url = requests.base + path
  if (!requests.credentials.isCookie) {
    const answer = await requests.json('/v1/stream-tickets', {}, { signal })
    if (signal.aborted) return
    if (!answer.ok) {
      hearer.failed(answer)
      return
    }
    url += `&ticket=${encodeURIComponent((answer.body as { ticket: string }).ticket)}`
  }
  const source = new EventSource(url, { withCredentials: requests.credentials.isCookie })
  signal.addEventListener('abort', () => source.close())
  source.onmessage = ({ data, lastEventId }) => hearer.frame({ event: '', data, id: lastEventId })
  for (const name of NAMED) {
    source.addEventListener(name, ({ data, lastEventId }) =>
      hearer.frame({ event: name, data, id: lastEventId }),
    )
  }
  source.onerror = () => {
    source.close()
    hearer.failed({ fault: 'broken', reason: 'the stream ended' })
  }
}

async function readStream(
  response: Response,
  { hasBodies }: Transports,
  hearer: Hearer,
  signal: AbortSignal,
): Promise<void> {
  const type = response.headers.get('content-type') ?? ''
  if (response.status !== 200 || !/event-stream|octet-stream/.test(type)) {
    const answer = classify(response.status, response.headers, await response.text())
    hearer.failed(answer.ok ? { fault: 'refused', reason: `a page of ${type}` } : answer)
    return
  }
  const parser = new SseParser()
  const hear = (frames: Frame[]) => {
    if (frames.length === 0) hearer.bytes()
    for (const frame of frames) hearer.frame(frame)
  }
  if (hasBodies && response.body) {
    for await (const chunk of chunksOf(response.body)) {
      if (signal.aborted) return
      hear(parser.push(chunk))
    }
  } else hear(parser.pushText(await response.text()))
  hearer.ended()
}

async function readAnswer(
  response: Response,
  { hasBodies }: Transports,
  hearer: Hearer,
  signal: AbortSignal,
): Promise<void> {
  const text = hasBodies && response.body ? await readSlowly(response.body, hearer) : await response.text()
  if (signal.aborted) return
  const answer = classify(response.status, response.headers, text)
  if (!answer.ok) hearer.failed(answer)
  else hearer.answer(answer.body)
}

/** Reads a body and says so whenever some of it comes: on a slow link that is not silence. */
async function readSlowly(body: ReadableStream<Uint8Array>, hearer: Hearer): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of chunksOf(body)) {
    text += decoder.decode(chunk, { stream: true })
    hearer.bytes()
  }
  return text + decoder.decode()
}

/** Not every runtime's streams can be iterated. */
async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    yield value
  }
}

/** The fields of a frame's JSON, or nothing if it is none. */
export function dataOf(frame: Frame): Record<string, unknown> | undefined {
  const data = parseJson(frame.data)
  return typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : undefined
}
