import type { Browser, Page } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BrowserName, lookAt, openBrowser } from './support/browser.ts'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'
import { TcpProxy } from './support/tcp-proxy.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()

type Tab = {
  page: Page
  /** The event streams that it asked for. */
  streams: string[]
  texts(): Promise<string[]>
  statuses(): Promise<string[]>
}

/** A tab on the gateway with `window.chat`, which keeps what it hears. */
async function join(browser: Browser, url: string, token: string, prepare = ''): Promise<Tab> {
  const page = await browser.newPage()
  // All windows are looked at: else Chromium hides all tabs but one.
  if (browser.process()?.spawnfile.includes('chromium')) await lookAt(page)
  const streams: string[] = []
  page.on('request', (request) => {
    if (request.url().includes('as=sse')) streams.push(request.url())
  })
  await page.goto(new URL('/docs', url).href)
  await page.evaluate(prepare)
  await page.evaluate(
    `(async (token) => {
      const { connect } = await import('/client.js')
      window.texts = []
      window.statuses = []
      window.chat = connect({ url: location.origin, after: '0', getToken: () => token })
      chat.on('event', ({ message }) => message && texts.push(message.text))
      chat.on('status', ({ state, transport }) => statuses.push(state + ' ' + transport))
    })(${JSON.stringify(token)})`,
  )
  return {
    page,
    streams,
    texts: () => page.evaluate('texts') as Promise<string[]>,
    statuses: () => page.evaluate('statuses') as Promise<string[]>,
  }
}

async function pair() {
  const anna = await Person.signUp(gateway.url)
  const ben = await Person.signUp(gateway.url)
  return { anna, token: ben.session.access_token, conversation: await anna.direct(ben) }
}

/** Freezes the tab that has the connection for nine seconds: the others are told all the same. */
async function surviveFreeze(tabs: Tab[], send: () => Promise<unknown>): Promise<void> {
  const frozen = await until('another', () => tabs.find(({ streams }) => streams.length > 0), 20_000)
  const awake = tabs.filter((tab) => tab !== frozen)
  const thawed = frozen.page.evaluate(
    '{ const end = performance.now() + 9000; while (performance.now() < end); }',
  )
  const since = performance.now()
  const before = (await awake[0]?.texts())?.length ?? 0
  await send()
  await until('the message in all others', async () =>
    (await Promise.all(awake.map((tab) => tab.texts()))).every((texts) => texts.length === before + 1),
  )
  expect(performance.now() - since).toBeLessThan(8_000)
  await thawed
}

const IS_STORED = `new Promise((resolve) => {
  indexedDB.open('longwave', 1).onsuccess = ({ target }) => {
    const names = target.result.transaction('kept').objectStore('kept').getAllKeys()
    names.onsuccess = () => resolve(names.result.some((name) => name.includes('outbox')))
  }
})`

describe.each<BrowserName>(['chromium', 'firefox'])('%s', (name) => {
  let browser: Browser & AsyncDisposable
  beforeAll(async () => {
    browser = await openBrowser(name)
  })
  afterAll(() => browser?.[Symbol.asyncDispose]())

  test('reads with its own EventSource, by tickets, and sends', async () => {
    const { anna, token, conversation } = await pair()
    const tab = await join(browser, gateway.url, token)
    await anna.send(conversation, 'first')
    await until('the first', async () => (await tab.texts()).includes('first'))
    await until('the stream', async () => (await tab.statuses()).includes('live sse'), 20_000)
    expect(tab.streams[0]).toContain('&ticket=')
    const sent = (await tab.page.evaluate(`chat.send('${conversation}', 'second')`)) as { seq: number }
    expect(sent.seq).toBe(2)
    await until('both', async () => (await tab.texts()).length === 2)
    await tab.page.close()
  })

  test('what was unsent when the page was left is in IndexedDB, and sent when it is loaded again', async () => {
    const { anna, token, conversation } = await pair()
    await using proxy = await TcpProxy.before(gateway.url)
    const url = proxy.through(gateway.url)
    const tab = await join(browser, url, token)
    await until('live', async () => (await tab.statuses()).length > 0)
    proxy.cut()
    await tab.page.evaluate(`void chat.send('${conversation}', 'kept')`)
    await until('it is stored', () => tab.page.evaluate(IS_STORED))
    await tab.page.close()
    proxy.restore()
    const again = await join(browser, url, token)
    await until('it was sent', async () => (await again.texts()).includes('kept'), 20_000)
    expect((await anna.readAll()).events.filter(({ type }) => type === 'message.created')).toHaveLength(1)
    await again.page.close()
  })

  test('seven tabs share one connection; when the one that has it is closed or frozen, another takes it', async () => {
    const { anna, token, conversation } = await pair()
    const tabs: Tab[] = []
    for (let tab = 0; tab < 7; tab++) tabs.push(await join(browser, gateway.url, token))
    const all = (some: Tab[], count: number) =>
      until(`${count} messages in ${some.length} tabs`, async () =>
        (await Promise.all(some.map((tab) => tab.texts()))).every((texts) => texts.length === count),
      )
    await anna.send(conversation, 'one')
    await all(tabs, 1)
    // Firefox hides all but the newest tab, and the one that is looked at leads.
    const leading = (some: Tab[]) => some.filter(({ streams }) => streams.length > 0)
    await until('a stream', () => leading(tabs).length > 0)
    const leader = (name === 'chromium' ? leading(tabs)[0] : tabs.at(-1)) as Tab
    if (name === 'chromium') expect(leading(tabs)).toEqual([leader])

    await leader.page.close()
    const left = tabs.filter((tab) => tab !== leader)
    await anna.send(conversation, 'two')
    await all(left, 2)
    if (name === 'chromium') await surviveFreeze(left, () => anna.send(conversation, 'three'))
    else await anna.send(conversation, 'three')
    await all(left, 3)
    expect(await left[0]?.texts()).toEqual(['one', 'two', 'three'])
    for (const { page } of left) await page.close()
  }, 90_000)

  test('where Web Locks are forbidden, as in a sandboxed frame, each tab connects', async () => {
    const { anna, token, conversation } = await pair()
    const forbidden = `navigator.locks.request = async () => {
      window.asked = (window.asked ?? 0) + 1
      throw new DOMException('not here', 'SecurityError')
    }`
    const tab = await join(browser, gateway.url, token, forbidden)
    await anna.send(conversation, 'one')
    await until('the message', async () => (await tab.texts()).length === 1)
    expect(await tab.page.evaluate('asked')).toBe(1)
    await tab.page.close()
  })

  test('where there are no Web Locks each tab connects, and beyond three they poll', async () => {
    const { anna, token, conversation } = await pair()
    const withoutLocks = `Object.defineProperty(navigator, 'locks', { value: undefined })`
    const tabs: Tab[] = []
    for (let tab = 0; tab < 5; tab++) {
      const joined = await join(browser, gateway.url, token, withoutLocks)
      tabs.push(joined)
      await until('live', async () => (await joined.statuses()).some((status) => status.startsWith('live')))
    }
    await anna.send(conversation, 'one')
    await until('the message in all', async () =>
      (await Promise.all(tabs.map((tab) => tab.texts()))).every((texts) => texts.length === 1),
    )
    const polling = await Promise.all(tabs.map(async (tab) => (await tab.statuses()).includes('live poll')))
    expect(polling).toEqual([false, false, false, true, true])
    for (const { page } of tabs) await page.close()
  })
})

describe('what is given to connect', () => {
  let browser: Browser & AsyncDisposable
  beforeAll(async () => {
    browser = await openBrowser('chromium')
  })
  afterAll(() => browser?.[Symbol.asyncDispose]())

  /** The last status that a client with these options has, on a page of the gateway, once it is no more `connecting`. */
  async function statusWith(options: string, wanted: string): Promise<{ state: string; reason: string }> {
    const page = await browser.newPage()
    await lookAt(page)
    await page.goto(new URL('/docs', gateway.url).href)
    await page.evaluate(
      `import('/client.js').then(({ connect }) => {
        window.chat = connect({ url: location.origin, after: '0', ${options} })
      })`,
    )
    const state = async () => (await page.evaluate('chat.status.state')) === wanted
    await until(`it is ${wanted}`, state, 5_000).catch(() => {})
    const status = await page.evaluate('chat.status')
    await page.evaluate('chat.close()')
    await page.close()
    return status as { state: string; reason: string }
  }

  test('the fetch of the browser itself is good enough', async () => {
    const { token } = await pair()
    const options = `fetch: window.fetch, getToken: () => ${JSON.stringify(token)}`
    expect(await statusWith(options, 'live')).toMatchObject({ state: 'live' })
  })

  test('a getToken that throws is told as being offline, and why', async () => {
    const options = `getToken: () => { throw new Error('no token today') }`
    const { state, reason } = await statusWith(options, 'offline')
    expect(state).toBe('offline')
    expect(reason).not.toBe('')
  })
})
