import { Chat, type ConnectOptions } from './chat.ts'

export { type Answer, mayMend } from './answers.ts'
export type { Chat, ChatEvents, ConnectOptions, Status } from './chat.ts'
export type { InboxEvent, PassingEvent, Reset } from './connection.ts'
export { newKey } from './new-key.ts'
export { type OutboxItem, SendError, type SendOptions } from './outbox.ts'
export { Patience } from './patience.ts'
export type { PushError, PushErrorCode, PushOptions, PushState } from './push.ts'
export { requestsTo } from './requests-to.ts'
export type { ClientStorage } from './storage.ts'

/**
 * Connects to an inbox, by whatever way gets through. Throws TypeError at a `url` that is none.
 * @example
 * const chat = connect({ url: 'https://chat.example.org', getToken })
 * chat.on('event', (event) => console.log(event))
 * const message = await chat.send(conversationId, 'Hello')
 */
export function connect(options: ConnectOptions): Chat {
  if (!/^https?:/.test(options.url)) throw new TypeError('url must begin with https://')
  return new Chat(options)
}
