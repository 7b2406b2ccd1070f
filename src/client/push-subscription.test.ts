import { expect, test } from 'vitest'
import { register, unregister } from './push-subscription.ts'
import { requestsTo } from './requests-to.ts'

/** A browser whose push service is out of reach. */
function cutOff(subscription: object | null) {
  const subscribe = async () => {
    throw new DOMException('Error retrieving push subscription.', 'AbortError')
  }
  const pushManager = { getSubscription: async () => subscription, subscribe }
  return { pushManager, getNotifications: async () => [] } as unknown as ServiceWorkerRegistration
}

const unsubscribe = async () => {
  throw new DOMException('Error unsubscribing.', 'NetworkError')
}

/** A gateway with a key, and what is asked of it. */
function gateway() {
  const asked: string[] = []
  const fetch = async (url: string) => {
    asked.push(new URL(url).pathname + new URL(url).search)
    return url.endsWith('/v1/gateway')
      ? Response.json({ vapid_public_key: 'BAAA' })
      : new Response(null, { status: 204 })
  }
  return { asked, requests: requestsTo({ url: 'http://gateway.test', fetch }) }
}

test('without a push service the gateway is told of the end all the same', async () => {
  const { asked, requests } = gateway()
  await unregister(requests, cutOff({ unsubscribe }))
  expect(asked).toEqual(['/v1/devices/current/push-subscription?_method=DELETE'])
})

test('without a push service one is told what to do, with a former subscription or none', async () => {
  for (const former of [null, { unsubscribe, options: { applicationServerKey: null } }]) {
    const failed = register(gateway().requests, cutOff(former))
    await expect(failed).rejects.toMatchObject({ name: 'PushError', code: 'no_push_service' })
    await expect(failed).rejects.toThrow(/try again later/)
  }
})
