import type { Requests } from './requests.ts'

const PATH = '/v1/devices/current/push-subscription'

/** What is missing for push. */
export type PushErrorCode =
  | 'insecure_context'
  | 'unsupported'
  | 'permission_denied'
  | 'permission_not_given'
  | 'no_service_worker'
  | 'no_push_service'
  | 'no_vapid_key'
  | 'not_registered'

/** Why push could not be switched on; its `name` is `PushError`. */
export type PushError = Error & { code: PushErrorCode }

export function pushError(code: PushErrorCode, message: string, cause?: unknown): PushError {
  return Object.assign(new Error(message, { cause }), { name: 'PushError', code })
}

/**
 * Subscribes with the gateway's present key, unless it is so already, and gives the subscription to the gateway. What
 * could not be given to it does not stay. Rejects with PushError.
 */
export async function register(requests: Requests, registration: ServiceWorkerRegistration): Promise<void> {
  const key = await vapidKey(requests)
  const former = await registration.pushManager.getSubscription()
  const isFit = former !== null && encode(former.options.applicationServerKey) === key.replace(/=+$/, '')
  // A browser refuses a second subscription with another key.
  if (former && !isFit) await former.unsubscribe()
  const subscription = isFit ? former : await subscribe(registration, key)
  const answer = await requests.json(`${PATH}?_method=PUT`, subscription.toJSON())
  if (answer.ok) return
  if (!isFit || answer.status === 422) await subscription.unsubscribe()
  throw pushError('not_registered', `The gateway did not take the subscription: ${answer.reason}`)
}

/** Ends the subscription, here first: from then on nothing arrives, whether or not the gateway can be told. */
export async function unregister(requests: Requests, registration: ServiceWorkerRegistration): Promise<void> {
  await unsubscribe(registration)
  await requests.json(`${PATH}?_method=DELETE`, {})
}

/** Ends the subscription in the browser and withdraws what is shown; the gateway learns of it by its next push. */
export async function unsubscribe(registration: ServiceWorkerRegistration): Promise<void> {
  const subscription = await registration.pushManager.getSubscription()
  await subscription?.unsubscribe()
  for (const notification of await registration.getNotifications()) notification.close()
}

async function vapidKey(requests: Requests): Promise<string> {
  const answer = await requests.json('/v1/gateway')
  if (!answer.ok)
    throw pushError('not_registered', `The gateway could not be asked for its key: ${answer.reason}`)
  const { vapid_public_key: key } = answer.body as { vapid_public_key?: string | null }
  if (!key) throw pushError('no_vapid_key', 'This gateway has no VAPID key: it sends no push.')
  return key
}

function subscribe(registration: ServiceWorkerRegistration, key: string): Promise<PushSubscription> {
  return registration.pushManager
    .subscribe({ userVisibleOnly: true, applicationServerKey: key })
    .catch((cause: unknown) => {
      throw pushError('no_push_service', `This browser could not subscribe: ${messageOf(cause)}`, cause)
    })
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** Base64url without padding. */
function encode(bytes: ArrayBuffer | null): string {
  const text = String.fromCharCode(...new Uint8Array(bytes ?? []))
  return btoa(text).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
}
