import { makeEventSource, makeLongPoll } from './bare.ts'
import { makePage } from './page.ts'
import { makeSdk } from './sdk.ts'
import { makeSocketIo } from './socket-io.ts'
import type { MakeTraveller } from './traveller.ts'
import { makeWebSocket } from './websocket.ts'

/** Who travels through each box, by the name it is asked for. */
export const travellers: Readonly<Record<string, MakeTraveller>> = {
  sdk: makeSdk,
  page: makePage,
  'event-source': makeEventSource,
  'long-poll': makeLongPoll,
  'socket.io': makeSocketIo,
  websocket: makeWebSocket,
}

const TITLES: Readonly<Record<string, string>> = {
  sdk: 'Longwave, Node',
  page: 'Longwave, Chromium',
  'socket.io': 'Socket.IO',
  websocket: 'WebSocket',
}

/** What a traveller is called where nobody knows the lab. */
export function titleOf(name: string): string {
  return TITLES[name] ?? name
}
