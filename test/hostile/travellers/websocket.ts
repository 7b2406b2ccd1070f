import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { WebSocket, WebSocketServer } from 'ws'
import { until } from '../../support/wait.ts'
import type { Box } from '../box.ts'
import { openOrigin } from '../origin.ts'
import { upgradeAgentThrough } from '../through.ts'
import type { Arrival, Journey, MakeTraveller } from './traveller.ts'

const PATIENCE_MS = 5_000
const RETRY_MS = 1_000

/** A plain WebSocket as one writes it by hand: opened again a second after it closes, nothing else. */
export const makeWebSocket: MakeTraveller = async () => {
  const http = createServer()
  const server = new WebSocketServer({ server: http })
  const arrived: Arrival[] = []
  server.on('connection', (socket) => {
    socket.on('error', () => {})
    socket.on('message', (text) => arrived.push({ text: String(text), at: performance.now() }))
  })
  await once(http.listen(0, '127.0.0.1'), 'listening')
  const origin = await openOrigin(`http://127.0.0.1:${(http.address() as AddressInfo).port}`)
  const sayToAll = (text: string) => {
    for (const socket of server.clients) socket.send(text)
  }
  return {
    name: 'WebSocket',
    origin,
    start: (box) => connect(box, arrived, sayToAll),
    async [Symbol.asyncDispose]() {
      for (const socket of server.clients) socket.terminate()
      server.close()
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
      await origin[Symbol.asyncDispose]()
    },
  }
}

async function connect(box: Box, sent: Arrival[], say: (text: string) => void): Promise<Journey> {
  const received: Arrival[] = []
  const agent = upgradeAgentThrough(box)
  const ending = new AbortController()
  let socket: WebSocket | undefined
  const keepOpen = async () => {
    while (!ending.signal.aborted) {
      socket = new WebSocket(box.url.replace(/^http/, 'ws'), { agent })
      socket.on('error', () => {})
      socket.on('message', (text) => received.push({ text: String(text), at: performance.now() }))
      await closed(socket)
      await pause(RETRY_MS, null, { signal: ending.signal }).catch(() => {})
    }
  }
  const keeping = keepOpen()
  const isOpen = () => socket?.readyState === WebSocket.OPEN
  await until('a WebSocket', isOpen, PATIENCE_MS).catch(() => {})
  return {
    received,
    sent,
    get rung() {
      return isOpen() ? 'websocket' : undefined
    },
    say: async (text) => say(text),
    send: (text) => {
      if (isOpen()) socket?.send(text)
    },
    async stop() {
      ending.abort()
      socket?.terminate()
      await keeping
      agent.destroy()
    },
  }
}

/** Not `once`, which rejects at an error; the close comes after it. */
function closed(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}
