import type { Resolver } from 'node:dns/promises'
import { availableParallelism } from 'node:os'
import type { Logger } from 'pino'
import type { Config } from './config.ts'
import type { Announcement } from './protocol/event.ts'
import { Deliveries } from './push/deliveries.ts'
import { EndpointGuard } from './push/endpoint-guard.ts'
import { FreshViews } from './push/fresh-views.ts'
import { keyAlarms } from './push/key-alarms.ts'
import { newPushMetrics, type PushMetrics } from './push/metrics.ts'
import { Pace } from './push/pace.ts'
import { Planner } from './push/planner.ts'
import type { SendPush } from './push/push.ts'
import { Recovery } from './push/recovery.ts'
import { SenderThread } from './push/sender-thread.ts'
import { PushServices } from './push/services.ts'
import { Turns } from './push/turns.ts'
import { loadVapidKeys, type VapidKeys } from './push/vapid.ts'
import { StartError } from './start-error.ts'
import type { Database } from './store/database.ts'
import type { DeviceIdentity } from './store/devices.ts'
import { inboxEpoch } from './store/inbox.ts'
import { PushPlanners } from './store/push-planners.ts'
import { PushStore } from './store/pushes.ts'
import { sharedSecret } from './store/secrets.ts'
import { type Due, TurnQueue } from './store/turn-queue.ts'

/** A node that says nothing for so long is dead, and others decide what it has left. */
const STALE_MS = 15_000
/** A turn that has not ended by then is given to another node; it ends within two thirds of that. */
const EXPIRE_SECONDS = 45
/** Firefox looks so long after a push whether something is shown for it: taken back before, it counts as silent too. */
const SHOWN_MS = 3_000

/** Waking people up, as the rest of the gateway sees it. */
export type Push = {
  readonly vapid: VapidKeys
  readonly endpointGuard: EndpointGuard
  readonly metrics: PushMetrics
  /** Something was committed here. */
  take(announcement: Announcement): void
  /** Something may have been committed here of which nobody knows, as its answer was lost. */
  missed(): void
  /** A browser has subscribed anew: what was to be sent to it again later is sent now, and what is not decided yet wakes it too. */
  subscribed(device: DeviceIdentity): Promise<void>
}

/** What tests replace: who hands pushes over, who is asked for the names of endpoints to be registered, and times. */
export type PushOverrides = {
  send?: SendPush
  resolver?: Resolver
  staleMs?: number
  expireSeconds?: number
  shownMs?: number
}

type Given = {
  database: Database
  node: string
  now: () => number
  config: Config
  /** On this node, just now. */
  sendsUnderWay: () => number
  overrides: PushOverrides
  log: Logger
}

/** Puts push together: who is away, their turns, what goes to the push services. Ends with `stack`. */
export async function startPush(given: Given, stack: AsyncDisposableStack): Promise<Push> {
  const { database, node, now, config, sendsUnderWay, overrides, log } = given
  const { graceMs, previews } = config.push
  const { staleMs = STALE_MS, expireSeconds = EXPIRE_SECONDS, shownMs = SHOWN_MS } = overrides
  const onError = (error: unknown) => log.warn({ err: error }, 'push')
  const vapid = await loadVapidKeys({ ...config.push, publicUrl: config.publicUrl }, (name, make) =>
    sharedSecret(database, name, make),
  )
  const endpointGuard = new EndpointGuard(config.push, overrides.resolver)
  const sender = stack.use(new SenderThread(vapid, config.push))
  const store = new PushStore(database, { vapidPublicKey: vapid.publicKey, shownMs })
  stack.defer(() => store.close())
  const queue = stack.use(await TurnQueue.open(database, expireSeconds, onError).catch(failStart))
  const metrics = newPushMetrics()
  const deliveries = new Deliveries({
    send: overrides.send ?? sender.send,
    ...{ services: new PushServices(), previews, metrics, now, onAlarm: keyAlarms(log), onError },
    unsubscribe: (target) =>
      store.unsubscribe(target).catch((error: unknown) => {
        onError(error)
        return false
      }),
  })
  const freshViews = new FreshViews()
  const pace = new Pace(sendsUnderWay, availableParallelism() / config.workers)
  const expireMs = expireSeconds * 1_000
  const turns = stack.use(
    new Turns({
      ...{ queue, store, deliveries, freshViews, epochOf: inboxEpoch, metrics, pace, now, onError },
      turnMs: (expireMs * 2) / 3,
    }),
  )
  const onDue = async (dues: readonly Due[]) => {
    await queue.add(dues)
    const now = dues.filter(({ due_ms }) => due_ms <= 0).map(({ user_id }) => user_id)
    if (now.length > 0) turns.wake(new Set(now))
  }
  const marks = new PushPlanners(database, node, staleMs)
  const planner = new Planner({
    ...{ store, freshViews, epochOf: inboxEpoch, graceMs, metrics, pace, onDue, onError },
    onWanted: () => sender.start(),
  })
  const onOverdue = (userIds: readonly string[]) => onDue(userIds.map((user_id) => ({ user_id, due_ms: 0 })))
  stack.use(
    new Recovery({
      ...{ store, marks, planner, now, staleMs, onOverdue, onError },
      // Longer than a turn takes that its node died in.
      overdueMs: expireMs * 2.5,
    }),
  )
  // Ended before it, so that it knows what is left.
  stack.use(planner)
  return {
    ...{ vapid, endpointGuard, metrics },
    take(announcement) {
      freshViews.notice(announcement)
      planner.take(announcement)
    },
    missed: () => planner.missed(),
    async subscribed(device) {
      try {
        await onDue(await store.tryNow(device))
        planner.takeOwed(await store.owedTo(device.user_id, graceMs))
      } catch (error) {
        onError(error)
      }
    },
  }
}

function failStart(error: unknown): never {
  const [reason] = String(error instanceof Error ? error.message : error).split('\n')
  throw new StartError(
    `The queue of pushes cannot be made in the database: ${reason}. The role has to own the database, or be allowed to create schemas in it`,
  )
}
