import { pause } from '../client/pause.ts'
import { register } from '../client/push-subscription.ts'
import { requestsTo } from '../client/requests-to.ts'
import { type FromWorker, OPEN_CONVERSATION, SHOWN } from '../client/worker-messages.ts'
import type { PushPayload } from '../protocol/push-payload.ts'
import { notificationOf } from './notification.ts'

declare const self: ServiceWorkerGlobalScope

/** A browser lets a worker live for about half a minute; a page that is opened later tries again. */
const RETRIES_MS = [0, 1_000, 4_000, 12_000]

// Nothing here stands between a page and the network, so that a new worker may take over at any time.
self.addEventListener('install', () => void self.skipWaiting())

self.addEventListener('push', (event) => event.waitUntil(show(payloadOf(event.data))))

self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  const data = event.notification.data as { conversation_id?: string | null } | null
  event.waitUntil(open(data?.conversation_id ?? null))
})

self.addEventListener('pushsubscriptionchange', (event) =>
  (event as ExtendableEvent).waitUntil(subscribeAnew()),
)

function payloadOf(data: PushMessageData | null): PushPayload | undefined {
  try {
    return data?.json() ?? undefined
  } catch {
    return undefined
  }
}

async function show(payload: PushPayload | undefined): Promise<void> {
  if (payload?.type === 'read' && payload.conversation_id) {
    const shown = await self.registration.getNotifications({ tag: payload.conversation_id })
    for (const notification of shown) notification.close()
    return
  }
  const { title, ...rest } = notificationOf(payload)
  // Not in the types, as Safari has no such thing: ring again though another of the conversation is shown.
  const options: NotificationOptions & { renotify: boolean } = { ...rest, renotify: true }
  await self.registration.showNotification(title, options)
  // It may have been read before this came.
  for (const page of await windows()) tell(page, { type: SHOWN })
}

function windows(): Promise<readonly WindowClient[]> {
  return self.clients.matchAll({ type: 'window', includeUncontrolled: true })
}

function tell(page: WindowClient, told: FromWorker): void {
  page.postMessage(told)
}

/** Brings the page forward that was used last, or opens one. */
async function open(conversation_id: string | null): Promise<void> {
  const { scope } = self.registration
  const page = (await windows()).find(({ url }) => url.split('#')[0]?.split('?')[0] === scope)
  if (!page) {
    await self.clients.openWindow(conversation_id === null ? scope : `${scope}#${conversation_id}`)
    return
  }
  tell(page, { type: OPEN_CONVERSATION, conversation_id })
  await page.focus()
}

async function subscribeAnew(): Promise<void> {
  const requests = requestsTo({ url: self.location.origin })
  for (const ms of RETRIES_MS) {
    await pause(ms)
    const isDone = await register(requests, self.registration).then(
      () => true,
      () => false,
    )
    if (isDone) return
  }
}
