import type { Bus } from './live/bus.ts'
import type { Hub } from './live/hub.ts'
import type { Nodes } from './live/nodes.ts'
import { Presence } from './live/presence.ts'
import { PresenceTurns } from './live/presence-turns.ts'
import type { Database } from './store/database.ts'
import { PresenceStore } from './store/presence.ts'

/** Between two changes of one person that others are told of, as a part of a lease: 5 s of 40. */
const QUIET = 1 / 8

type Given = { database: Database; bus: Bus; deployment: string; nodes: Nodes; hub: Hub; leaseMs: number }

/** Puts presence together: who is at this node, written down, and what others are told of it. Ends with `stack`. */
export function startPresence(
  { database, bus, deployment, nodes, hub, leaseMs }: Given,
  onError: (error: unknown) => void,
  stack: AsyncDisposableStack,
): Presence {
  const store = new PresenceStore(database, leaseMs, leaseMs * QUIET)
  stack.defer(() => store.close())
  const here = { reader: (userId: string) => hub.peek(userId), others: () => nodes.others }
  const turns = stack.use(new PresenceTurns(store, { bus, deployment, leaseMs }, here, onError))
  return stack.use(new Presence(store, leaseMs, (userIds) => turns.arrived(userIds), onError))
}
