import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { until } from '../../support/wait.ts'
import type { Box } from '../box.ts'
import { openOrigin } from '../origin.ts'
import { agentThrough, upgradeAgentThrough } from '../through.ts'
import type { Arrival, Journey, MakeTraveller } from './traveller.ts'

const PATIENCE_MS = 5_000

/** Socket.IO with its defaults at both ends: it polls, and upgrades to a WebSocket where it can. */
export const makeSocketIo: MakeTraveller = async () => {
  const http = createServer()
  const server = new Server(http)
  const arrived: Arrival[] = []
  server.on('connection', (socket) =>
    socket.on('message', (text) => arrived.push({ text, at: performance.now() })),
  )
  await once(http.listen(0, '127.0.0.1'), 'listening')
  const origin = await openOrigin(`http://127.0.0.1:${(http.address() as AddressInfo).port}`)
  return {
    name: 'Socket.IO',
    origin,
    start: (box) => connect(box, arrived, (text) => server.emit('message', text)),
    async [Symbol.asyncDispose]() {
      http.closeAllConnections()
      await server.close()
      await origin[Symbol.asyncDispose]()
    },
  }
}

async function connect(box: Box, sent: Arrival[], say: (text: string) => void): Promise<Journey> {
  // Its XMLHttpRequest for Node never ends the request that it repeats when a kept connection was closed.
  const agents = { polling: agentThrough(box, { keepAlive: false }), websocket: upgradeAgentThrough(box) }
  const trust = box.authority === undefined ? {} : { ca: readFileSync(box.authority, 'utf8') }
  const socket = io(box.url, {
    forceNew: true,
    // In a browser the agents and the authority are the browser's.
    transportOptions: {
      polling: { agent: agents.polling, ...trust },
      websocket: { agent: agents.websocket, ...trust },
    },
  })
  const received: Arrival[] = []
  socket.on('message', (text: string) => received.push({ text, at: performance.now() }))
  await until('Socket.IO', () => socket.connected, PATIENCE_MS).catch(() => {})
  return {
    received,
    sent,
    get rung() {
      return socket.connected ? socket.io.engine.transport.name : undefined
    },
    say: async (text) => say(text),
    send: (text) => socket.emit('message', text),
    async stop() {
      socket.disconnect()
      for (const agent of Object.values(agents)) agent.destroy()
    },
  }
}
