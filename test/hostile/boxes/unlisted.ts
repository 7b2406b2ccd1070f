import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { pipeline } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { createGzip, gzipSync } from 'node:zlib'
import { type Behaviour, type Exchange, whole } from '../http-box.ts'

const HTML = '<!doctype html><title>Welcome</title><p>Please sign in to this network.'

const relay = async ({ ask, pass }: Exchange) => pass(await ask())

const isPost = ({ request }: Exchange) => request.method === 'POST'
const typeOf = (answer: IncomingMessage) => answer.headers['content-type'] ?? ''

/** Answers in one piece, with the length that it then has. */
function give({ begin, response }: Exchange, answer: IncomingMessage, body: Buffer): void {
  begin(answer, { 'content-length': body.length })
  response.end(body)
}

/** Signs people in: a page for everything, until they have. */
export const captivePortal: Behaviour = () => (exchange) =>
  exchange.isTroubled ? exchange.say(200, 'text/html', HTML) : relay(exchange)

/** The same by a redirect to another origin. */
export const loginRedirect: Behaviour = () => (exchange) => {
  if (exchange.request.url === '/login') exchange.say(200, 'text/html', HTML)
  else if (!exchange.isTroubled) return relay(exchange)
  else exchange.say(302, 'text/html', '', { location: `http://localhost:${exchange.port}/login` })
}

/** Passes 6 KB of an answer and then nothing, without a word. */
export const staller: Behaviour =
  () =>
  async ({ ask, begin, response }) => {
    const answer = await ask()
    begin(answer)
    let left = 6_000
    answer.on('data', (chunk: Buffer) => {
      response.write(chunk.subarray(0, left))
      left -= chunk.length
      if (left <= 0) answer.pause()
    })
    answer.on('end', () => left > 0 && response.end())
  }

/** Refuses every type that streams. */
export const noStreams: Behaviour = () => async (exchange) => {
  const answer = await exchange.ask()
  if (!/event-stream|octet-stream/.test(typeOf(answer))) return exchange.pass(answer)
  answer.destroy()
  exchange.say(403, 'text/html', '<h1>Blocked</h1>')
}

/** Keeps answers to GET for 10 s whatever they say of that, and takes every query for the same. */
export const cache: Behaviour = () => {
  const kept = new Map<string, { answer: IncomingMessage; body: Buffer; at: number }>()
  return async (exchange) => {
    const path = exchange.request.url?.split('?')[0] ?? ''
    const hit = kept.get(path)
    if (!isPost(exchange) && hit && performance.now() - hit.at < 10_000)
      return give(exchange, hit.answer, hit.body)
    const answer = await exchange.ask()
    if (isPost(exchange) || answer.headers['content-length'] === undefined) return exchange.pass(answer)
    const body = await whole(answer)
    kept.set(path, { answer, body, at: performance.now() })
    give(exchange, answer, body)
  }
}

/** Sends every POST twice, and passes on the second answer. */
export const repeater: Behaviour = () => async (exchange) => {
  if (!isPost(exchange)) return relay(exchange)
  const body = await whole(exchange.request)
  const answers = await Promise.all([exchange.ask({ body }), exchange.ask({ body })])
  answers[0].resume()
  exchange.pass(answers[1])
}

/** Passes no header that it does not know, and loses each third answer once the server has given it. */
export const keyStripper: Behaviour = () => async (exchange) => {
  const { 'idempotency-key': _, ...headers } = exchange.request.headers
  const answer = await exchange.ask({ headers })
  if (exchange.count % 3 > 0) return exchange.pass(answer)
  exchange.request.socket.resetAndDestroy()
}

/** Wants its own password now and then. */
export const passwordAsker: Behaviour = () => (exchange) =>
  exchange.count % 5 === 0
    ? exchange.say(401, exchange.count % 2 ? 'text/html' : 'text/plain', 'Proxy password, please', {
        'www-authenticate': 'Basic realm="proxy"',
      })
    : relay(exchange)

/** Loses the second half of each third answer, and corrects its length. */
export const truncator: Behaviour = () => async (exchange) => {
  const answer = await exchange.ask()
  if (exchange.count % 3 > 0 || !typeOf(answer).includes('json')) return exchange.pass(answer)
  const body = await whole(answer)
  give(exchange, answer, body.subarray(0, body.length / 2))
}

/** Asks everybody to come again in an hour, and does not mean it. */
export const hourAway: Behaviour = () => (exchange) =>
  exchange.isTroubled
    ? exchange.say(exchange.count % 2 ? 429 : 503, 'text/html', HTML, { 'retry-after': '3600' })
    : relay(exchange)

/** Lets no answer live longer than 5 s. */
export const fiveSeconds: Behaviour = () => (exchange) => {
  const { socket } = exchange.request
  const timer = setTimeout(() => socket.resetAndDestroy(), 5_000)
  exchange.response.once('close', () => clearTimeout(timer))
  return relay(exchange)
}

/** Says nothing for a while, and nothing ever again on connections that were used meanwhile. */
export const blackHole: Behaviour = () => {
  const dead = new WeakSet<Socket>()
  return async (exchange) => {
    const { socket } = exchange.request
    const isDead = () => {
      if (exchange.isTroubled) dead.add(socket)
      return dead.has(socket)
    }
    if (isDead()) return
    const answer = await exchange.ask()
    exchange.begin(answer)
    answer.on('data', (chunk) => isDead() || exchange.response.write(chunk))
    answer.on('end', () => isDead() || exchange.response.end())
  }
}

/** Takes between 50 ms and 3 s for everything. */
export const swinger: Behaviour =
  () =>
  async ({ ask, begin, response }) => {
    const swing = () => pause(25 + Math.random() ** 3 * 1_475)
    await swing()
    const answer = await ask()
    await swing()
    begin(answer)
    for await (const chunk of answer) {
      await swing()
      response.write(chunk)
    }
    response.end()
  }

/** Reads uploads to their end, and says 100 to some who did not ask. */
export const uploader: Behaviour = () => async (exchange) => {
  if (!isPost(exchange)) return relay(exchange)
  const body = await whole(exchange.request)
  if (exchange.count % 2) exchange.response.writeContinue()
  await pause(100)
  exchange.pass(await exchange.ask({ body }))
}

/** Compresses what says that it is not to be compressed, as much at a time as its buffer holds. */
export const compressor: Behaviour = () => async (exchange) => {
  const answer = await exchange.ask()
  exchange.begin(answer, { 'content-length': undefined, 'content-encoding': 'gzip' })
  pipeline(answer, createGzip(), exchange.response, () => {})
}

/** Compresses text, at once, and does not say so. */
export const mumbler: Behaviour = () => async (exchange) => {
  const answer = await exchange.ask()
  if (!typeOf(answer).startsWith('text/')) return exchange.pass(answer)
  exchange.begin(answer, { 'content-length': undefined, 'content-encoding': undefined })
  for await (const chunk of answer) exchange.response.write(gzipSync(chunk))
  exchange.response.end()
}

/** Carries one request per connection. */
export const oneEach: Behaviour = () => (exchange) => {
  exchange.response.shouldKeepAlive = false
  return relay(exchange)
}

/** Reads an answer to its end, and thinks. */
export const thinker: Behaviour = () => async (exchange) => {
  const answer = await exchange.ask()
  const body = await whole(answer)
  await pause(1_500)
  give(exchange, answer, body)
}

/** Allows a client two connections; more are taken, and wait for one of these to end. */
export const twoConnections: Behaviour = () => {
  const open = new Set<Socket>()
  const waiting: (() => void)[] = []
  const turn = async (socket: Socket) => {
    if (open.has(socket)) return
    while (open.size >= 2) await new Promise<void>((resolve) => waiting.push(resolve))
    if (socket.destroyed) return
    open.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      waiting.shift()?.()
    })
  }
  return async (exchange) => {
    await turn(exchange.request.socket)
    if (exchange.request.socket.destroyed) waiting.shift()?.()
    else await relay(exchange)
  }
}

/** Does not like the look of `as=` in the URL of a GET. */
export const noGets: Behaviour = () => (exchange) =>
  !isPost(exchange) && exchange.request.url?.includes('as=')
    ? exchange.say(403, 'text/html', '<h1>Blocked</h1>')
    : relay(exchange)

/** Drops what stands behind the question mark. */
export const noQueries: Behaviour = () => async (exchange) =>
  exchange.pass(
    await exchange.ask(isPost(exchange) ? {} : { path: exchange.request.url?.split('?')[0] ?? '/' }),
  )
