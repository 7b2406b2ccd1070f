import { Problem, unavailable } from '../protocol/problems.ts'
import * as schemas from '../protocol/schemas.ts'
import { EndpointMiswritten, EndpointRefused } from '../push/endpoint-guard.ts'
import { isPoint } from '../push/p256.ts'
import { subscribe, unsubscribe } from '../store/push-subscriptions.ts'
import { endpoint } from './endpoint.ts'
import type { Services } from './services.ts'

const TAG = 'Push'

/** Tells all nodes who wants to be woken now: until then it was of no matter whether they are there. */
export const SUBSCRIBED = 'subscribed'

export const putPushSubscription = (services: Services) =>
  endpoint({
    summary: 'Have Web Pushes sent to this browser while nobody is here: a PushSubscription as it stands',
    tag: TAG,
    signedIn: true,
    body: schemas.pushSubscriptionBody,
    answers: { 204: { description: 'Subscribed until this device unsubscribes or is signed out.' } },
    problems: ['push_endpoint_refused'],
    async handle({ body, caller }, { incoming }) {
      const { p256dh, auth } = body.keys
      if (!isPoint(p256dh)) {
        throw new Problem('validation_failed', 'Correct the body: keys.p256dh is not a point of P-256.', {
          errors: [{ path: 'keys.p256dh', message: 'is not a point of P-256' }],
        })
      }
      const { user_id, device_id } = caller
      const { href } = await checkEndpoint(services, body.endpoint)
      const outcome = await subscribe(services.database, {
        user_id,
        device_id,
        endpoint: href,
        p256dh,
        auth,
        vapid_public_key: services.push.vapid.publicKey,
        silent: allowsSilence(incoming.headers['user-agent']),
      })
      if (outcome === 'signed_out')
        throw new Problem('signed_out', 'This device was signed out. Sign in again.')
      if (outcome === 'foreign') {
        throw new Problem(
          'push_endpoint_refused',
          'The browser subscribed with a former key. Unsubscribe in it, and subscribe with `vapid_public_key` of GET /v1/gateway.',
        )
      }
      if (outcome === 'subscribed') {
        services.presence.writeDown(user_id)
        services.bus.broadcast(SUBSCRIBED, user_id)
        await services.push.subscribed(caller)
      }
      return { status: 204 }
    },
  })

export const deletePushSubscription = (services: Services) =>
  endpoint({
    summary: 'Have no more Web Pushes sent to this browser',
    tag: TAG,
    signedIn: true,
    answers: { 204: { description: 'Not subscribed, or not any more.' } },
    async handle({ caller }) {
      await unsubscribe(services.database.sql, caller)
      return { status: 204 }
    },
  })

/** The same words for wherever it leads to: a name's private address is nobody's business. */
async function checkEndpoint({ push }: Services, text: string): Promise<URL> {
  try {
    return await push.endpointGuard.check(text)
  } catch (error) {
    if (!(error instanceof EndpointRefused)) {
      throw unavailable('The name of the endpoint cannot be resolved just now. Repeat the request.', error)
    }
    const reason =
      error instanceof EndpointMiswritten
        ? `this one ${error.message}`
        : 'an https address of a push service on the public Internet'
    const advice = 'Send the endpoint exactly as the browser gave it'
    throw new Problem('push_endpoint_refused', `${advice}: ${reason}.`)
  }
}

/** Firefox alone lets a push show nothing, a few times; others show a notice of their own, or end the subscription. */
function allowsSilence(userAgent = ''): boolean {
  return /\bGecko\/\S+ Firefox\//.test(userAgent)
}
