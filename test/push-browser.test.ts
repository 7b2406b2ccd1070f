import type { HTTPRequest, Page } from 'puppeteer-core'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { PushPayload } from '../src/protocol/push-payload.ts'
import { find, openBrowser, openWindow, signUp, untilTexts } from './support/browser.ts'
import { Person } from './support/person.ts'
import { PushFirefox } from './support/push-firefox.ts'
import { PushingGateway } from './support/pushing-gateway.ts'
import { until } from './support/wait.ts'
import { WebPushService } from './support/web-push-service.ts'

let gateway: PushingGateway
let service: WebPushService
let firefox: PushFirefox

beforeAll(async () => {
  gateway = await PushingGateway.start()
  service = await WebPushService.start()
  firefox = await PushFirefox.open(service)
})

beforeEach(() => firefox.forget())

afterAll(async () => {
  await firefox?.[Symbol.asyncDispose]()
  await service?.[Symbol.asyncDispose]()
  await gateway?.[Symbol.asyncDispose]()
})

const SWITCH = '#notifications:not([hidden]):not([disabled])'
let names = 0

/** Signs up in the page and turns notifications on with its switch. Somebody is there to write to them. */
async function switchedOn({ url } = gateway, by = firefox) {
  const username = `reader-${names++}`
  const page = await by.page(url)
  await signUp(page, username)
  await turn(page, 'on')
  return { page, elsewhere: await Person.signIn(url, username), anna: await Person.signUp(url) }
}

/** The same, and they have written. */
async function subscribed(by = firefox) {
  const { page, elsewhere, anna } = await switchedOn(gateway, by)
  const conversation = await anna.direct(elsewhere)
  await anna.send(conversation, 'hello')
  await page.waitForSelector('[data-testid=conversation]')
  const message: PushPayload = {
    type: 'message',
    conversation_id: conversation,
    title: 'Anna',
    sender: 'Anna',
    preview: 'hello',
    unread_count: 1,
    mention_count: 0,
  }
  const subscription = () => gateway.subscription(elsewhere.id)
  /** Whatever it says differently, to the subscription that there is. */
  const push = async (changes: Partial<PushPayload> = {}) =>
    expect(await gateway.push(await subscription(), { ...message, ...changes })).toBe('accepted')
  return { page, elsewhere, conversation, message, push, subscription }
}

async function turn(page: Page, state: 'on' | 'off'): Promise<void> {
  await page.waitForSelector(SWITCH)
  await page.locator('#notifications').click()
  await page.waitForSelector(`${SWITCH}[data-state=${state}]`)
}

/** Every page but an empty one is closed. */
async function away(page: Page, by = firefox): Promise<void> {
  await by.page('about:blank')
  await page.close()
}

test('whoever closes the page is shown what is said, until they read it elsewhere, also after a restart', {
  timeout: 90_000,
}, async () => {
  await using whole = await PushingGateway.start(200)
  const { page, elsewhere, anna } = await switchedOn(whole)
  await away(page)
  const conversation = await anna.direct(elsewhere)
  const name = anna.session.user.display_name
  await anna.send(conversation, 'hello')
  await firefox.untilShown([`${name}: hello`])
  await elsewhere.call('PUT', `/v1/conversations/${conversation}/read`, { seq: 1 })
  await firefox.untilShown([])

  await firefox.restart()
  await anna.send(conversation, 'are you there?')
  await firefox.untilShown([`${name}: are you there?`])
})

test('a push is shown though no page is open, grouped by conversation, and withdrawn', {
  timeout: 90_000,
}, async () => {
  const { page, push } = await subscribed()
  await away(page)
  await push()
  await firefox.untilShown(['Anna: hello'])
  await push({ preview: 'are you there?', unread_count: 2 })
  await firefox.untilShown(['Anna: are you there?\n2 unread'])
  await push({ preview: 'hello?', unread_count: 3, mention_count: 1 })
  await firefox.untilShown(['Anna: hello?\n3 unread, you were mentioned'])
  await push({ type: 'read', preview: null, unread_count: 0 })
  await firefox.untilShown([])
})

test('announcements, texts left out and what cannot be read are shown too', { timeout: 90_000 }, async () => {
  const { page, push } = await subscribed()
  await away(page)
  const pushes: [Partial<PushPayload>, string][] = [
    [{ title: 'Sailing', preview: null }, 'Sailing: Anna: New message'],
    [{ conversation_id: null }, 'Longwave: There is something new.'],
    [{ type: 'of tomorrow' as 'message' }, 'Longwave: There is something new.'],
  ]
  for (const [payload, shown] of pushes) {
    await push(payload)
    await until(shown, async () => (await firefox.shown().catch(() => [] as string[])).includes(shown))
  }
  const announcement = { type: 'announcement', conversation_id: null, title: 'Longwave' } as const
  for (const preview of ['we move', 'we move', 'moved']) await push({ ...announcement, preview })
  const announced = async () =>
    (await firefox.shown().catch(() => [])).filter((text) => text.includes('move'))
  await until('both', async () => (await announced()).length === 2)
  expect(await announced()).toEqual(['Longwave: we move', 'Longwave: moved'])
})

test('a click opens the conversation: in the page that is there, else in a new one', {
  timeout: 90_000,
}, async () => {
  const { page, push, conversation } = await subscribed()
  const address = `${gateway.url}/#${conversation}`
  await push()
  await firefox.untilShown(['Anna: hello'])
  await firefox.clickNotification()
  await until('the conversation', () => page.url() === address)
  await untilTexts(page, '[data-testid=message-text]', ['hello'])

  await away(page)
  await push()
  await firefox.untilShown(['Anna: hello'])
  await firefox.clickNotification()
  await until('a page on it', async () => (await firefox.addresses()).includes(address))
  await firefox.untilShown([])
})

test('an open page withdraws what is read on another device, and at its start what was read meanwhile', {
  timeout: 90_000,
}, async () => {
  const { page, push, conversation, elsewhere } = await subscribed()
  const unread = { conversation_id: crypto.randomUUID(), title: 'Ben', sender: 'Ben' }
  await push()
  await firefox.untilShown(['Anna: hello'])
  await elsewhere.call('PUT', `/v1/conversations/${conversation}/read`, { seq: 1 })
  await firefox.untilShown([])

  await away(page)
  await push()
  await push(unread)
  await until('both', async () => (await firefox.shown().catch(() => [])).length === 2)
  await firefox.page(gateway.url)
  await firefox.untilShown([])
})

test('a subscription that the push service ends is made anew, without a page', {
  timeout: 90_000,
}, async () => {
  const { page, push, message, subscription } = await subscribed()
  const former = await subscription()
  await away(page)
  service.rotate()
  await until('another', async () => (await subscription())?.endpoint !== former?.endpoint)
  expect(await gateway.push(former, message)).toBe('gone')
  await push()
  await firefox.untilShown(['Anna: hello'])
})

test('a gateway with another key is subscribed to anew by the next page', { timeout: 90_000 }, async () => {
  const { page, push, subscription } = await subscribed()
  const former = await subscription()
  await gateway.changeKey()
  await page.reload()
  await until('another', async () => (await subscription())?.endpoint !== former?.endpoint)
  await push()
  await firefox.untilShown(['Anna: hello'])
})

test('Firefox allows as many silent pushes after a visit as it has quota, and then ends the subscription', {
  timeout: 90_000,
}, async () => {
  await using careful = await PushFirefox.open(service, {
    'dom.push.maxQuotaPerSubscription': 3,
    'dom.push.quotaUpdateDelay': 1_000,
  })
  const { page, push, subscription } = await subscribed(careful)
  const { endpoint = '' } = (await subscription()) ?? {}
  await away(page, careful)
  // What is on screen when the quota is looked at costs nothing.
  for (const preview of ['one', 'two']) {
    await push({ preview })
    await careful.untilShown([`Anna: ${preview}`])
    await careful.untilQuota(3)
  }
  for (const left of [2, 1]) {
    await push({ type: 'read' })
    await careful.untilQuota(left)
  }
  expect(service.endpoints).toContain(endpoint)
  await push({ type: 'read' })
  await until('the end', () => !service.endpoints.includes(endpoint))
})

test('turned off or signed out, nothing is subscribed and nothing is shown any more', {
  timeout: 90_000,
}, async () => {
  const { page, push, message, subscription } = await subscribed()
  const first = await subscription()
  await push()
  await firefox.untilShown(['Anna: hello'])
  await turn(page, 'off')
  await firefox.untilShown([])
  expect(await subscription()).toBeUndefined()
  expect(await gateway.push(first, message)).toBe('gone')

  await turn(page, 'on')
  const second = await subscription()
  await page.locator('#sign-out').click()
  await page.waitForSelector('#sign-in:not([hidden])')
  expect(await subscription()).toBeUndefined()
  expect(await gateway.push(second, message)).toBe('gone')
  await firefox.untilShown([])
})

test('a session that ends without a word leaves no subscription in the browser', {
  timeout: 90_000,
}, async () => {
  const { page, push, message, elsewhere, subscription } = await subscribed()
  const former = await subscription()
  await push()
  await firefox.untilShown(['Anna: hello'])
  await elsewhere.call('DELETE', `/v1/sessions/${former?.device_id}`)
  await page.waitForSelector('#sign-in:not([hidden])')
  expect(await subscription()).toBeUndefined()
  await firefox.untilShown([])
  await until('the end', async () => (await gateway.push(former, message)) === 'gone')
})

const stateOf = (page: Page) => page.$eval('#notifications', (element) => element.getAttribute('data-state'))

test('a sign-out that fails turns nothing off, and what is lost while the gateway is away comes back with it', {
  timeout: 90_000,
}, async () => {
  const { page, push, subscription } = await subscribed()
  const former = await subscription()
  const box = await gateway.goAway()
  await page.locator('#sign-out').click()
  await until('words', () => page.$eval('#chat-error', (element) => element.textContent))
  expect(await stateOf(page)).toBe('on')
  await away(page)
  service.rotate()
  await until('the worker to give up', () => box.asked() > 0)
  await box.back()
  const again = await firefox.page(gateway.url)
  await again.waitForSelector(`${SWITCH}[data-state=on]`)
  await until('another', async () => (await subscription())?.endpoint !== former?.endpoint)
  await push()
  await firefox.untilShown(['Anna: hello'])
})

test('a click while the page still loads opens the conversation; a push behind its reading is withdrawn', {
  timeout: 90_000,
}, async () => {
  const { page, push, conversation, elsewhere } = await subscribed()
  const release = Promise.withResolvers<void>()
  let isHeld = false
  await page.setRequestInterception(true)
  page.on('request', async (request) => {
    const isList = request.url().includes('/v1/conversations?')
    isHeld ||= isList
    if (isList) await release.promise
    await request.continue()
  })
  await page.reload()
  await until('the list to be asked for', () => isHeld)
  await push()
  await firefox.untilShown(['Anna: hello'])
  await firefox.clickNotification()
  release.resolve()
  await page.waitForSelector(SWITCH)
  await until('the conversation', () => page.url() === `${gateway.url}/#${conversation}`)

  type Unread = { unread_count: number }
  const unread = () => elsewhere.call<Unread>('GET', `/v1/conversations/${conversation}`)
  await until('the reading', async () => (await unread()).body.unread_count === 0)
  await page.evaluate(
    `navigator.serviceWorker.addEventListener('message', ({ data }) => globalThis.told = data.type)`,
  )
  await push()
  await until('it to be shown', async () => (await page.evaluate('globalThis.told')) === 'longwave.shown')
  await firefox.untilShown([])
})

test('in a page with tokens: on is what is wished, a click sets the hash, and disablePush() ends what was enabled', {
  timeout: 90_000,
}, async () => {
  const anna = await Person.signUp(gateway.url)
  const ben = await Person.signUp(gateway.url)
  const conversation_id = await ben.direct(anna)
  await ben.send(conversation_id, 'hello')
  const begin = async (page: Page) =>
    page.evaluate(`(async () => {
      const { connect } = await import('/client.js')
      globalThis.chat = connect({ url: location.origin, getToken: () => '${anna.session.access_token}' })
      return chat.pushState()
    })()`)
  const page = await firefox.page(`${gateway.url}/docs`)
  expect(await begin(page)).toBe('off')
  await page.evaluate(`(async () => {
    const serviceWorker = await navigator.serviceWorker.register('/service-worker.js', { scope: '/docs' })
    await chat.enablePush({ serviceWorker })
  })()`)
  const target = await gateway.subscription(anna.id)
  const hello = { title: 'Ben', sender: 'Ben', preview: 'hello', unread_count: 1, mention_count: 0 }
  await gateway.push(target, { type: 'message', conversation_id, ...hello })
  await firefox.untilShown(['Ben: hello'])
  await firefox.clickNotification()
  await until('the hash', () => page.url() === `${gateway.url}/docs#${conversation_id}`)

  // The worker has no token, so what it subscribes is refused, and does not stay.
  service.rotate()
  await until('the worker to try', () => service.endpoints.length > 0)
  await until('it to let go', () => service.endpoints.length === 0)
  await page.reload()
  expect(await begin(page)).toBe('on')
  const ended = await page.evaluate(`(async () => {
    const serviceWorker = await navigator.serviceWorker.getRegistration()
    await chat.enablePush({ serviceWorker })
    await chat.disablePush()
    return [await chat.pushState(), await serviceWorker.pushManager.getSubscription()]
  })()`)
  expect(ended).toEqual(['off', null])
  expect(await gateway.subscription(anna.id)).toBeUndefined()
})

test('a browser that keeps nothing has no push', { timeout: 60_000 }, async () => {
  await using strict = await PushFirefox.open(service, { 'network.cookie.cookieBehavior': 2 })
  const page = await strict.page(`${gateway.url}/docs`)
  const state = await page.evaluate(`(async () => {
    const { connect } = await import('/client.js')
    return connect({ url: location.origin, getToken: () => 'x', user: 'x' }).pushState()
  })()`)
  expect(state).toBe('unsupported')
})

test('where the module of push does not come, the switch is there, and signing out does not wait for it', {
  timeout: 60_000,
}, async () => {
  await using chromium = await openBrowser()
  const page = await openWindow(chromium, 'about:blank')
  const errors: unknown[] = []
  page.on('pageerror', (error) => errors.push(error))
  const held: HTTPRequest[] = []
  await page.setRequestInterception(true)
  page.on('request', (request) => {
    if (request.url().endsWith('/client-push.js')) held.push(request)
    else void request.continue()
  })
  await page.goto(gateway.url)
  await signUp(page, 'unlucky')
  await until('the module to be asked for', () => held.length > 0)
  await held[0]?.abort()
  await page.waitForSelector(SWITCH)
  await page.reload()
  await until('the module to be asked for', () => held.length > 1)
  await page.locator('#sign-out').click()
  await page.waitForSelector('#sign-in:not([hidden])')
  expect(errors).toEqual([])
})

test('where a browser cannot subscribe the page says why and goes on', { timeout: 60_000 }, async () => {
  await using chromium = await openBrowser()
  const page = await openWindow(chromium, gateway.url)
  await page.browserContext().overridePermissions(gateway.url, ['notifications'])
  await page.reload()
  await signUp(page, 'no-push')
  await page.waitForSelector(SWITCH)
  await page.locator('#notifications').click()
  const trouble = () => page.$eval('#chat-error', (element) => element.textContent)
  await until('words', trouble)
  expect(await trouble()).toMatch(/^This browser could not subscribe: /)
  expect(await page.$eval('#notifications', (element) => element.getAttribute('data-state'))).toBe('off')
  const other = await Person.signUp(gateway.url, 'no-push-either')
  await find(page, 'no-push-e')
  expect(other.id).toBeTruthy()
})
