import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import type { Delivery } from '../delivery/delivery.ts'
import type { Bus } from '../live/bus.ts'
import type { Hub } from '../live/hub.ts'
import type { Nodes } from '../live/nodes.ts'
import type { Presence } from '../live/presence.ts'
import type { Receipts } from '../live/receipts.ts'
import type { Typing } from '../live/typing.ts'
import type { Push } from '../start-push.ts'
import type { Acknowledgements } from '../store/acknowledgements.ts'
import type { Background } from '../store/background.ts'
import type { Committer } from '../store/committer.ts'
import type { Conversations } from '../store/conversations.ts'
import type { Database } from '../store/database.ts'
import type { Devices } from '../store/devices.ts'
import type { InboxReader } from '../store/inbox.ts'
import type { Search } from '../store/search/search.ts'
import type { Users } from '../store/users.ts'
import type { Writer } from '../store/writer.ts'
import type { Authenticator } from './auth/authenticator.ts'
import type { Passwords } from './auth/passwords.ts'
import type { Revocations } from './auth/revocations.ts'
import type { AccessTokens } from './auth/tokens.ts'
import type { Limits } from './limits.ts'
import type { Origins } from './origins.ts'

/** The parts that endpoints are made of; `app.ts` puts them together. */
export type Services = {
  config: Config
  log: Logger
  version: string
  database: Database
  writer: Writer
  committer: Committer
  users: Users
  devices: Devices
  conversations: Conversations
  inbox: InboxReader
  search: Search
  acknowledgements: Acknowledgements
  bus: Bus
  nodes: Nodes
  hub: Hub
  presence: Presence
  typing: Typing
  receipts: Receipts
  delivery: Delivery
  tokens: AccessTokens
  passwords: Passwords
  revocations: Revocations
  authenticator: Authenticator
  origins: Origins
  limits: Limits
  push: Push
  broadcaster: Background
  eraser: Background
}
