import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser } from './support/browser.ts'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'
import { TcpProxy } from './support/tcp-proxy.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()
let browser: Awaited<ReturnType<typeof openBrowser>>
beforeAll(async () => {
  browser = await openBrowser()
})
afterAll(() => browser?.[Symbol.asyncDispose]())

/** A page of the gateway that has made `window.chat` and keeps what it hears. */
async function join(url: string, options: object): Promise<Page> {
  const page = await browser.newPage()
  await page.goto(new URL('/docs', url).href)
  await load(page, options)
  return page
}

async function load(page: Page, options: object): Promise<void> {
  await page.evaluate(
    `(async (options) => {
      const { connect } = await import('/client.js')
      if (options.token) options.getToken = () => options.token
      window.texts = []
      window.statuses = []
      window.chat = connect({ url: location.origin, after: '0', ...options })
      chat.on('event', ({ message }) => message && texts.push(message.text))
      chat.on('status', ({ state, transport }) => statuses.push(state + ' ' + transport))
    })(${JSON.stringify(options)})`,
  )
}

const textsOf = (page: Page) => page.evaluate<string[]>('texts')

async function pair() {
  const anna = await Person.signUp(gateway.url)
  const ben = await Person.signUp(gateway.url)
  return { anna, ben, conversation: await anna.direct(ben) }
}

test('Chromium reads with its own EventSource, by tickets, and sends', async () => {
  const { anna, ben, conversation } = await pair()
  const streams: string[] = []
  browser.on('request', (request) => {
    if (request.resourceType() === 'eventsource') streams.push(request.url())
  })
  const page = await join(gateway.url, { token: ben.session.access_token })
  await anna.send(conversation, 'first')
  await until('the first', async () => (await textsOf(page)).includes('first'))
  await until(
    'the stream',
    async () => (await page.evaluate<string[]>('statuses')).includes('live sse'),
    20_000,
  )
  const sent = await page.evaluate<{ seq: number }>(`chat.send('${conversation}', 'second')`)
  expect(sent.seq).toBe(2)
  await until('both', async () => (await textsOf(page)).length === 2)
  expect(streams[0]).toContain('&ticket=')
  await page.close()
})

test('what was unsent when the page was left is in IndexedDB, and sent when it is loaded again', async () => {
  const { anna, ben, conversation } = await pair()
  await using proxy = await TcpProxy.before(gateway.url)
  const url = proxy.through(gateway.url)
  const options = { token: ben.session.access_token }
  const page = await join(url, options)
  await until('live', async () => (await page.evaluate<string[]>('statuses')).length > 0)
  proxy.cut()
  await page.evaluate(`void chat.send('${conversation}', 'kept')`)
  await until('it is stored', () =>
    page.evaluate<boolean>(`new Promise((resolve) => {
      indexedDB.open('longwave', 1).onsuccess = ({ target }) => {
        const names = target.result.transaction('kept').objectStore('kept').getAllKeys()
        names.onsuccess = () => resolve(names.result.some((name) => name.includes('outbox')))
      }
    })`),
  )
  await page.close()
  proxy.restore()
  const again = await join(url, options)
  await until('it was sent', async () => (await textsOf(again)).includes('kept'), 20_000)
  expect((await anna.readAll()).events.filter(({ type }) => type === 'message.created')).toHaveLength(1)
  await again.close()
})

test('seven tabs share one connection; when the one that has it is closed or frozen, another takes it', async () => {
  const { anna, ben, conversation } = await pair()
  const options = { token: ben.session.access_token }
  const opened: { page: Page; at: number }[] = []
  browser.on('request', (request) => {
    const page = request.frame().page()
    if (request.resourceType() === 'eventsource') opened.push({ page, at: performance.now() })
  })
  const tabs: Page[] = []
  for (let tab = 0; tab < 7; tab++) tabs.push(await join(gateway.url, options))
  await anna.send(conversation, 'one')
  const all = (pages: Page[], count: number) =>
    until(`${count} messages in ${pages.length} tabs`, async () =>
      (await Promise.all(pages.map(textsOf))).every((texts) => texts.length === count),
    )
  await all(tabs, 1)
  await until('the stream', () => opened.length > 0, 20_000)
  expect(new Set(opened.map(({ page }) => page)).size).toBe(1)

  const leader = opened[0]?.page as Page
  const left = tabs.filter((tab) => tab !== leader)
  await leader.close()
  await anna.send(conversation, 'two')
  await all(left, 2)

  await until('another stream', () => opened.some(({ page }) => page !== leader), 20_000)
  const second = opened.at(-1)?.page as Page
  const rest = left.filter((tab) => tab !== second)
  const frozen = second.evaluate('{ const end = performance.now() + 9000; while (performance.now() < end); }')
  const since = performance.now()
  await anna.send(conversation, 'three')
  await all(rest, 3)
  expect(performance.now() - since).toBeLessThan(8_000)
  await frozen
  await anna.send(conversation, 'four')
  await all(left, 4)
  expect(await textsOf(second)).toEqual(['one', 'two', 'three', 'four'])
  for (const tab of left) await tab.close()
}, 90_000)
