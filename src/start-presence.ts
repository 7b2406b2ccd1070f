import type { Bus } from './live/bus.ts'
import type { Hub } from './live/hub.ts'
import type { Nodes } from './live/nodes.ts'
import { Presence, type PresenceRecord } from './live/presence.ts'
import { PresenceTurns } from './live/presence-turns.ts'
import { Attendance } from './store/attendance.ts'
import type { Database } from './store/database.ts'
import { PresenceStore } from './store/presence.ts'

/** Between two changes of one person that others are told of, as a part of a lease: 5 s of 40. */
const QUIET = 1 / 8

type Given = {
  database: Database
  bus: Bus
  deployment: string
  nodes: Nodes
  hub: Hub
  leaseMs: number
  /** Whether others are told; who is away is known in any case. */
  isShown: boolean
}

/** Puts presence together: who is at this node, written down, and what others are told of it. Ends with `stack`. */
export function startPresence(
  given: Given,
  onError: (error: unknown) => void,
  stack: AsyncDisposableStack,
): Presence {
  const { database, leaseMs } = given
  const attendance = new Attendance(database, leaseMs)
  stack.defer(() => attendance.close())
  const attend: PresenceRecord = {
    async see(sightings) {
      await attendance.see(sightings)
      return []
    },
  }
  if (!given.isShown) return stack.use(new Presence(attend, leaseMs, () => {}, onError))
  const store = new PresenceStore(database, leaseMs, leaseMs * QUIET)
  stack.defer(() => store.close())
  const record: PresenceRecord = {
    async see(sightings) {
      const [arrived] = await Promise.all([store.see(sightings), attend.see(sightings)])
      return arrived
    },
  }
  const turns = startTurns(given, store, onError, stack)
  return stack.use(new Presence(record, leaseMs, (userIds) => turns.arrived(userIds), onError))
}

function startTurns(
  { bus, deployment, nodes, hub, leaseMs }: Given,
  store: PresenceStore,
  onError: (error: unknown) => void,
  stack: AsyncDisposableStack,
): PresenceTurns {
  const here = { reader: (userId: string) => hub.peek(userId), others: () => nodes.others }
  return stack.use(new PresenceTurns(store, { bus, deployment, leaseMs }, here, onError))
}
