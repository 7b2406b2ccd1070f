import { hearWorker, openClicked } from './hear-worker.ts'
import { messageOf, pushError, register, unregister } from './push-subscription.ts'
import { forgetWish, isWished, wish } from './push-wish.ts'
import type { Requests } from './requests.ts'
import { SHOWN } from './worker-messages.ts'

export type { PushError, PushErrorCode } from './push-subscription.ts'

/** `denied`: only the person can change that, in the browser's settings of this site. */
export type PushState = 'unsupported' | 'denied' | 'off' | 'on'

export type PushOptions = {
  /** The script of the service worker, of the page's origin, or its registration: `/service-worker.js` unless given. */
  serviceWorker?: string | ServiceWorkerRegistration
}

type Heard = { type: string; conversation_id?: string; unread_count?: unknown }

type Client = {
  requests: Requests
  on(name: 'event', listener: (event: Heard) => void): unknown
}

/** Web Push on this device. While it is on, what is read withdraws the notification of its conversation. */
export class Push {
  readonly #requests: Requests
  #registration: ServiceWorkerRegistration | undefined

  /** Goes with `client`, which is closed when `signal` is aborted. */
  constructor(client: Client, signal: AbortSignal) {
    this.#requests = client.requests
    client.on('event', ({ type, conversation_id, unread_count }) => {
      if (type === 'conversation.read' && unread_count === 0 && conversation_id !== undefined)
        void this.#withdraw(conversation_id)
    })
    if (!isSupported()) return
    const look = () => {
      if (document.visibilityState === 'visible') void this.#withdrawRead()
    }
    document.addEventListener('visibilitychange', look, { signal })
    hearWorker((told) => {
      openClicked(told)
      // A push may come behind the reading.
      if (told.type === SHOWN) void this.#withdrawRead()
    }, signal)
  }

  /** `permission` is the answer of `Notification.requestPermission()`, called within the gesture. Rejects with PushError. */
  async enable(
    { serviceWorker = '/service-worker.js' }: PushOptions = {},
    permission: Promise<NotificationPermission> | undefined,
  ): Promise<void> {
    if (!globalThis.isSecureContext)
      throw pushError('insecure_context', 'Push needs https (or localhost): serve the page over it.')
    if (!isSupported() || !permission)
      throw pushError(
        'unsupported',
        'This browser has no push. On an iPhone, put this site on the home screen and open it there.',
      )
    const given = await permission
    if (given === 'denied')
      throw pushError(
        'permission_denied',
        'Notifications are blocked. Allow them in the settings of this site, and try again.',
      )
    if (given !== 'granted')
      throw pushError(
        'permission_not_given',
        'Notifications were not allowed. Try again, and allow them when the browser asks.',
      )
    this.#registration = await install(serviceWorker)
    await register(this.#requests, this.#registration)
    wish()
    await this.#withdrawRead()
  }

  async disable(options: PushOptions = {}): Promise<void> {
    forgetWish()
    const registration = await this.#find(options).catch(() => undefined)
    this.#registration = undefined
    await unregister(this.#requests, registration)
  }

  /**
   * Asks nobody. `on` while it is wished for, subscribed or not: call `enable` at each start then, as keys and subscriptions
   * change. Never rejects.
   */
  async state(options: PushOptions = {}): Promise<PushState> {
    if (!isSupported()) return 'unsupported'
    const { permission } = Notification
    if (permission === 'denied') return 'denied'
    try {
      const found = await this.#find(options)
      this.#registration ??= found
      const isSubscribed = (await found?.pushManager.getSubscription()) != null
      return permission === 'granted' && (isWished() || isSubscribed) ? 'on' : 'off'
    } catch {
      // Where a browser may keep nothing, it has no workers.
      return 'unsupported'
    }
  }

  /** What is named, else what was enabled here, else what is there for this page. */
  async #find(options: PushOptions): Promise<ServiceWorkerRegistration | undefined> {
    if (!isSupported()) return undefined
    return (options.serviceWorker ? undefined : this.#registration) ?? registrationOf(options)
  }

  async #withdraw(conversation: string): Promise<void> {
    const shown = await this.#registration?.getNotifications({ tag: conversation })
    for (const notification of shown ?? []) notification.close()
  }

  /** What was read while no page was open is still shown where a browser allows no silent push. */
  async #withdrawRead(): Promise<void> {
    for (const { data } of (await this.#registration?.getNotifications()) ?? []) {
      const id = (data as { conversation_id?: string | null } | null)?.conversation_id
      if (!id) continue
      const answer = await this.#requests.json(`/v1/conversations/${id}`)
      const isOver = answer.ok
        ? (answer.body as { unread_count: number }).unread_count === 0
        : answer.isOurs && answer.status === 404
      if (isOver) await this.#withdraw(id)
    }
  }
}

function isSupported(): boolean {
  return (
    typeof window !== 'undefined' &&
    'Notification' in window &&
    'PushManager' in window &&
    'serviceWorker' in navigator
  )
}

async function registrationOf({
  serviceWorker,
}: PushOptions): Promise<ServiceWorkerRegistration | undefined> {
  if (typeof serviceWorker === 'object') return serviceWorker
  return navigator.serviceWorker.getRegistration(
    serviceWorker && new URL('.', new URL(serviceWorker, location.href)),
  )
}

/** Rejects unless the worker gets as far as being there for pushes. */
async function install(
  serviceWorker: string | ServiceWorkerRegistration,
): Promise<ServiceWorkerRegistration> {
  try {
    const registration =
      typeof serviceWorker === 'object'
        ? serviceWorker
        : await navigator.serviceWorker.register(serviceWorker)
    await active(registration)
    return registration
  } catch (cause) {
    throw pushError('no_service_worker', `The service worker does not start: ${messageOf(cause)}`, cause)
  }
}

/** Without an active worker a browser refuses to subscribe. */
async function active(registration: ServiceWorkerRegistration): Promise<void> {
  const worker = registration.active ?? registration.waiting ?? registration.installing
  await new Promise<void>((resolve, reject) => {
    const look = () => {
      if (registration.active) resolve()
      else if (worker?.state === 'redundant') reject(new Error('it failed while it was installed'))
    }
    worker?.addEventListener('statechange', look)
    look()
  })
}
