import type { IncomingMessage } from 'node:http'
import type { Browser, BrowserContext, Page } from 'puppeteer-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  type BrowserName,
  find,
  MESSAGES,
  openBrowser,
  signUp,
  texts,
  untilTexts,
  write,
} from './support/browser.ts'
import { MeddlingProxy } from './support/meddling-proxy.ts'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'
import { TcpProxy } from './support/tcp-proxy.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()
const PENDING = '[data-testid=message][data-state=pending] [data-testid=message-text]'
const SIGN_IN = '#sign-in:not([hidden])'
let names = 0

const refuseMessages = ({ method, url }: IncomingMessage) =>
  method === 'POST' && url?.endsWith('/messages') ? { status: 502, body: '<h1>Bad gateway</h1>' } : undefined

async function signIn(page: Page, username: string): Promise<void> {
  await page.bringToFront()
  await page.locator('#username').fill(username)
  await page.locator('#password').fill('correct horse')
  await page.locator('#sign-in-button').click()
  await page.waitForSelector('#chat:not([hidden])')
}

describe.each<BrowserName>(['chromium', 'firefox'])('the page in %s', { timeout: 90_000 }, (name) => {
  let browser: Browser & AsyncDisposable
  const faults: string[] = []
  const contexts: BrowserContext[] = []

  beforeAll(async () => {
    browser = await openBrowser(name)
  })
  afterAll(async () => browser?.[Symbol.asyncDispose]())
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close()
    expect(faults.splice(0)).toEqual([])
  })

  /** A tab that is looked at, as far as the browser lets several be. */
  async function openTab(context: BrowserContext, address: string): Promise<Page> {
    const page = await context.newPage()
    if (name === 'chromium') {
      const session = await page.createCDPSession()
      await session.send('Emulation.setFocusEmulationEnabled', { enabled: true })
    }
    page.on('dialog', (dialog) => void dialog.accept())
    page.on('pageerror', (error) => {
      // Firefox reports streams that end.
      if (!/can’t establish a connection|was interrupted/.test(String(error))) faults.push(String(error))
    })
    await page.goto(address)
    return page
  }

  /** Somebody at the page, in a conversation with somebody without one. */
  async function pair(url = gateway.url) {
    const context = await browser.createBrowserContext()
    contexts.push(context)
    const friend = await Person.signUp(gateway.url)
    const username = `connection-${name}-${names++}`
    const page = await openTab(context, url)
    await signUp(page, username)
    await find(page, friend.session.user.username ?? '')
    const chat = page.url().split('#')[1] ?? ''
    return { context, friend, username, page, chat, url: page.url() }
  }

  const status = (page: Page) =>
    page.$eval('#status', (element) => {
      const { state, transport } = (element as HTMLElement).dataset
      return { state, transport, text: element.textContent, title: (element as HTMLElement).title }
    })
  const untilState = (page: Page, state: string) =>
    until(state, async () => (await status(page)).state === state, 30_000)
  /** Nothing while the page is being loaded. */
  const shownName = async (page: Page) => (await texts(page, '#me').catch(() => []))[0]
  const draft = (page: Page) => page.$eval('#message-text', (field) => (field as HTMLTextAreaElement).value)
  const sentTo = async (friend: Person) =>
    (await friend.readAll()).events.flatMap(({ type, message }) =>
      type === 'message.created' && message ? [message.text] : [],
    )

  test('says how it is connected, and goes on where it was when the line is back', async () => {
    await using proxy = await TcpProxy.before(gateway.url)
    const { page, friend, chat } = await pair(proxy.through(gateway.url))
    const live = { state: 'live', transport: 'sse', text: 'live', title: 'By an event stream' }
    await until('the stream', async () => (await status(page)).transport === 'sse', 30_000)
    expect(await status(page)).toEqual(live)
    proxy.cut()
    await friend.send(chat, 'from there')
    await write(page, 'from here')
    await untilState(page, 'offline')
    expect((await status(page)).text).toBe('offline')
    await untilTexts(page, PENDING, ['from here'])
    proxy.restore()
    await untilTexts(page, MESSAGES, ['from there', 'from here'], 30_000)
    await untilState(page, 'live')
  })

  test('what was written and is not sent, or not even finished, survives a reload', async () => {
    await using proxy = await MeddlingProxy.before(gateway.url)
    proxy.meddle = refuseMessages
    const { page, friend } = await pair(proxy.url)
    for (const text of ['one', 'two']) await write(page, text)
    await untilTexts(page, PENDING, ['one', 'two'])
    const isLoaded = page.waitForNavigation()
    // As the last thing before the page goes.
    await page
      .evaluate(() => {
        const field = document.getElementById('message-text') as HTMLTextAreaElement
        const type = (text: string) => {
          field.value = text
          field.dispatchEvent(new Event('input', { bubbles: true }))
        }
        type('three')
        ;(document.getElementById('composer') as HTMLFormElement).requestSubmit()
        type('a draft')
        location.reload()
      })
      .catch(() => {})
    await isLoaded
    await untilTexts(page, PENDING, ['one', 'two', 'three'])
    expect(await draft(page)).toBe('a draft')
    proxy.meddle = () => undefined
    await untilTexts(page, MESSAGES, ['one', 'two', 'three'], 30_000)
    expect(await sentTo(friend)).toEqual(['one', 'two', 'three'])
  })

  test('seven tabs share one connection, each shows everything once; one opened later begins where its list is', async () => {
    await using proxy = await MeddlingProxy.before(gateway.url)
    const { context, friend, page, chat, url } = await pair(proxy.url)
    await friend.send(chat, 'before')
    await untilTexts(page, MESSAGES, ['before'])
    const tabs = [page]
    while (tabs.length < 7) tabs.push(await openTab(context, url))
    await friend.send(chat, 'to all')
    for (const tab of tabs) await untilTexts(tab, MESSAGES, ['before', 'to all'], 30_000)
    for (const tab of tabs) await untilState(tab, 'live')
    await write(tabs[6] as Page, 'from the seventh')
    for (const tab of tabs) await untilTexts(tab, MESSAGES, ['before', 'to all', 'from the seventh'])
    // Firefox hides all but the newest tab, and whoever is looked at leads: there more than one has had the lead.
    await until('one stream', () => proxy.open.filter((each) => each.includes('as=sse')).length === 1, 30_000)
    const [first] = tabs.splice(name === 'chromium' ? 0 : 6, 1)
    await first?.close()
    await friend.send(chat, 'and on')
    for (const tab of tabs)
      await untilTexts(tab, MESSAGES, ['before', 'to all', 'from the seventh', 'and on'], 30_000)
  })

  test('a session that the server ends: every tab says so, and signed in again nothing written is lost', async () => {
    await using proxy = await MeddlingProxy.before(gateway.url)
    const { context, friend, page, username, chat, url } = await pair(proxy.url)
    const other = await openTab(context, url)
    await untilState(other, 'live')
    proxy.meddle = refuseMessages
    await write(page, 'on its way')
    await untilTexts(page, PENDING, ['on its way'])
    await page.locator('#message-text').fill('half a thou')
    const device = await Person.signIn(gateway.url, username)
    const { body } = await device.call<{ sessions: { device_id: string; current: boolean }[] }>(
      'GET',
      '/v1/sessions',
    )
    for (const { device_id, current } of body.sessions)
      if (!current) expect((await device.call('DELETE', `/v1/sessions/${device_id}`)).status).toBe(204)
    for (const tab of [page, other]) await tab.waitForSelector(SIGN_IN, { timeout: 30_000 })
    const notices = await Promise.all([page, other].map((tab) => texts(tab, '#sign-in-notice')))
    expect(notices.flat()).toContain('Your session has ended. Sign in again.')
    proxy.meddle = () => undefined
    await signIn(page, username)
    await untilTexts(page, MESSAGES, ['on its way'], 30_000)
    expect(await draft(page)).toBe('half a thou')
    expect(await sentTo(friend)).toEqual(['on its way'])
    expect(chat).toBe(page.url().split('#')[1])
  })

  test('signed out in one tab, and somebody else signed in: no other tab goes on, nothing goes in the wrong name', async () => {
    await using proxy = await MeddlingProxy.before(gateway.url)
    const { context, friend, page, username, chat, url } = await pair(proxy.url)
    const other = await openTab(context, url)
    await untilState(other, 'live')
    await other.bringToFront()
    await other.locator('#message-text').fill('private')
    await other.locator('#sign-out').click()
    for (const tab of [page, other]) await tab.waitForSelector(SIGN_IN, { timeout: 30_000 })
    expect((await texts(page, '#sign-in-notice'))[0]).toBe('')
    await signIn(page, username)
    await other.reload()
    await until('signed in there, too', () => other.$('#chat:not([hidden])'))
    proxy.meddle = refuseMessages
    await page.evaluate((id) => {
      location.hash = id
    }, chat)
    await write(page, 'mine alone')
    await untilTexts(page, PENDING, ['mine alone'])
    const elsewhere = await openTab(context, new URL('/docs', url).href)
    const stranger = `stranger-${name}-${names++}`
    await elsewhere.evaluate(async (username) => {
      const body = JSON.stringify({ username, password: 'correct horse', cookie: true })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch('/v1/accounts', { method: 'POST', headers, body })
      localStorage.setItem('longwave.user', (await answer.json()).user.id)
    }, stranger)
    proxy.meddle = () => undefined
    for (const tab of [page, other])
      await until('the stranger', async () => (await shownName(tab)) === stranger, 30_000)
    await page.bringToFront()
    expect(await draft(page)).toBe('')
    expect(await sentTo(friend)).toEqual([])
    await page.locator('#sign-out').click()
    await page.waitForSelector(SIGN_IN)
    await signIn(page, username)
    await page.evaluate((id) => {
      location.hash = id
    }, chat)
    await untilTexts(page, MESSAGES, ['mine alone'], 30_000)
    expect(await sentTo(friend)).toEqual(['mine alone'])
  })

  test('what is refused stays to be tried again or discarded, over a reload too', async () => {
    const { friend, page, chat } = await pair()
    await write(page, 'hello')
    await untilTexts(page, MESSAGES, ['hello'])
    const peer = await friend.call<{ peer: { id: string } }>('GET', `/v1/conversations/${chat}`)
    const block = `/v1/users/me/blocks/${peer.body.peer.id}`
    await friend.call('PUT', block)
    for (const text of ['again', 'never mind']) await write(page, text)
    const FAILED = '[data-testid=message][data-state=failed] [data-testid=message-text]'
    await untilTexts(page, FAILED, ['again', 'never mind'])
    await page.reload()
    await untilTexts(page, FAILED, ['again', 'never mind'])
    await friend.call('DELETE', block)
    await page.locator('[data-testid=retry]').click()
    await untilTexts(page, MESSAGES, ['hello', 'again'])
    await page.locator('[data-testid=discard]').click()
    await untilTexts(page, FAILED, [])
    await page.reload()
    await untilTexts(page, MESSAGES, ['hello', 'again'])
    expect(await texts(page, FAILED)).toEqual([])
  })

  test('pages of a portal, a proxy’s own 401, a cookie taken off and 429 leave it calm', async () => {
    await using proxy = await MeddlingProxy.before(gateway.url)
    const { friend, page, chat } = await pair(proxy.url)
    await untilState(page, 'live')
    const portal = { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Welcome</h1>' }
    const gate = { status: 401, headers: { 'content-type': 'text/html' }, body: 'Proxy sign-in' }
    const limit = {
      status: 429,
      headers: { 'content-type': 'application/problem+json', 'retry-after': '1' },
      body: JSON.stringify({ code: 'rate_limited', status: 429, title: '', detail: 'Too many' }),
    }
    const expected: string[] = []
    for (const [text, meddling] of [
      ['portal', portal],
      ['gate', gate],
      ['limit', limit],
    ] as const) {
      const after = proxy.requests.length
      proxy.meddle = ({ url }) => (url?.startsWith('/v1/') ? meddling : undefined)
      proxy.cut()
      await write(page, text)
      await until('several requests', () => proxy.requests.length > after + 5, 30_000)
      proxy.meddle = () => undefined
      expected.push(text)
      await untilTexts(page, MESSAGES, expected, 30_000)
    }
    // Every third request comes without its cookie.
    let count = 0
    proxy.meddle = (incoming) => {
      if (count++ % 3 === 0) delete incoming.headers.cookie
      return undefined
    }
    proxy.cut()
    await friend.send(chat, 'are you there?')
    await write(page, 'I am')
    await until('both', async () => (await texts(page, MESSAGES)).length === 5, 40_000)
    expect(await page.$(SIGN_IN)).toBeNull()
    expect(await sentTo(friend)).toContain('I am')
  })

  test('gone back to, it is up to date and connected', async () => {
    const { friend, page, chat, url } = await pair()
    await untilState(page, 'live')
    await write(page, 'one')
    await untilTexts(page, MESSAGES, ['one'])
    await page.locator('#message-text').fill('unfinished')
    await page.evaluate(() => {
      addEventListener('pageshow', ({ persisted }) => Object.assign(window, { persisted }))
    })
    await page.goto(new URL('/docs', url).href)
    await friend.send(chat, 'two')
    await page.goBack()
    await untilTexts(page, MESSAGES, ['one', 'two'], 30_000)
    await untilState(page, 'live')
    // Firefox that is driven by a program keeps no pages.
    if (name === 'chromium') expect(await page.evaluate('window.persisted')).toBe(true)
    expect(await draft(page)).toBe('unfinished')
    await friend.send(chat, 'three')
    await untilTexts(page, MESSAGES, ['one', 'two', 'three'])
  })
})
