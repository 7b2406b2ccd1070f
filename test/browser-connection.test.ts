import type { Browser, BrowserContext, Page } from 'puppeteer-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  type BrowserName,
  find,
  MESSAGES,
  openBrowser,
  signUp,
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
let names = 0

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
    page.on('pageerror', (error) => faults.push(String(error)))
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
    expect((await status(page)).text).toBe('offline, trying again…')
    await untilTexts(page, PENDING, ['from here'])
    proxy.restore()
    await untilTexts(page, MESSAGES, ['from there', 'from here'], 30_000)
    await untilState(page, 'live')
  })

  test('what was written and is not sent, or not even finished, survives a reload', async () => {
    await using proxy = await MeddlingProxy.before(gateway.url)
    proxy.meddle = ({ method, url }) =>
      method === 'POST' && url?.endsWith('/messages')
        ? { status: 502, body: '<h1>Bad gateway</h1>' }
        : undefined
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
})
