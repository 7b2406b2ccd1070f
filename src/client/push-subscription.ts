import type { Requests } from './requests.ts'

const PATH = '/v1/devices/current/push-subscription'
const LOCK = 'longwave.push'

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
 * could not be given to it does not stay. One page or worker at a time: they share what they subscribe. Rejects with PushError.
 */
export async function register(requests: Requests, registration: ServiceWorkerRegistration): Promise<void> {
  const act = () => registerAlone(requests, registration)
  await (navigator.locks ? navigator.locks.request(LOCK, act) : act())
}

async function registerAlone(requests: Requests, registration: ServiceWorkerRegistration): Promise<void> {
  const key = await vapidKey(requests)
  const { subscription, isNew } = await subscribe(registration, key)
  const answer = await requests.json(`${PATH}?_method=PUT`, subscription.toJSON())
  if (answer.ok) return
  if (isNew || answer.status === 422) await subscription.unsubscribe().catch(() => {})
  throw pushError('not_registered', `The gateway did not take the subscription: ${answer.reason}`)
}

/** Ends the subscription here, where there is one, and at the gateway: each though the other may be out of reach. */
export async function unregister(
  requests: Requests,
  registration: ServiceWorkerRegistration | undefined,
): Promise<void> {
  await Promise.all([
    registration && unsubscribe(registration).catch(() => {}),
    requests.json(`${PATH}?_method=DELETE`, {}),
  ])
}

/** Ends the subscription in the browser and withdraws what is shown; the gateway learns of it by its next push. */
export async function unsubscribe(registration: ServiceWorkerRegistration): Promise<void> {
  const subscription = await registration.pushManager.getSubscription()
  // A push service that cannot be reached is told later.
  await subscription?.unsubscribe().catch(() => {})
  for (const notification of await registration.getNotifications()) notification.close()
}

async function vapidKey(requests: Requests): Promise<string> {
  const answer = await requests.json('/v1/gateway')
  if (!answer.ok)
    throw pushError(
      'not_registered',
      `The gateway could not be asked for its key. Try again: ${answer.reason}`,
    )
  const { vapid_public_key: key } = answer.body as { vapid_public_key?: string | null }
  if (!key)
    throw pushError('no_vapid_key', 'This gateway sends no push: it has no VAPID key. Ask whoever runs it.')
  return key
}

async function subscribe(
  { pushManager }: ServiceWorkerRegistration,
  key: string,
): Promise<{ subscription: PushSubscription; isNew: boolean }> {
  try {
    const former = await pushManager.getSubscription()
    if (former && encode(former.options.applicationServerKey) === key.replace(/=+$/, ''))
      return { subscription: former, isNew: false }
    // A browser refuses a second subscription with another key.
    await former?.unsubscribe()
    const options = { userVisibleOnly: true, applicationServerKey: key }
    return { subscription: await pushManager.subscribe(options), isNew: true }
  } catch (cause) {
    throw pushError(
      'no_push_service',
      `This browser could not subscribe: ${messageOf(cause)}. Its push service may be blocked or out of reach: try again later, or in another network.`,
      cause,
    )
  }
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** Base64url without padding. */
function encode(bytes: ArrayBuffer | null): string {
  const text = String.fromCharCode(...new Uint8Array(bytes ?? []))
  return btoa(text).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
}
