import type { Page } from 'puppeteer-core'
import { expect, test } from 'vitest'
import { find, lookAt, MESSAGES, openBrowser, openWindow, signUp, untilTexts } from './support/browser.ts'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()

/** Leases are renewed twice a second. */
async function hurryLeases(page: Page): Promise<void> {
  await page.evaluateOnNewDocument(() => {
    const later = setTimeout
    const soon = (act: () => void, ms = 0) => later(act, ms > 26_000 && ms <= 30_000 ? 500 : ms)
    globalThis.setTimeout = soon as typeof setTimeout
  })
}

/** For the page, so many minutes go by at once. */
async function letPass(page: Page, minutes: number): Promise<void> {
  await page.evaluate((ms) => {
    const now = performance.now.bind(performance)
    performance.now = () => now() + ms
  }, minutes * 60_000)
}

test('a page that is visible but untouched reads nothing and says that nobody looks, until any tab is touched', {
  timeout: 60_000,
}, async () => {
  await using browser = await openBrowser()
  const page = await openWindow(browser, 'about:blank')
  await lookAt(page)
  await hurryLeases(page)
  await page.goto(gateway.url)
  await signUp(page, 'idler')
  const elsewhere = await Person.signIn(gateway.url, 'idler')
  const anna = await Person.signUp(gateway.url, 'anna-of-idle')
  await find(page, 'anna-of-idle')
  const conversation = page.url().split('#')[1] ?? ''
  const unread = async () => {
    const { body } = await elsewhere.call<{ unread_count: number }>(
      'GET',
      `/v1/conversations/${conversation}`,
    )
    return body.unread_count
  }
  await anna.send(conversation, 'hello')
  await until('the reading', async () => (await unread()) === 0)
  await page.mouse.move(300, 200)

  const leases: boolean[] = []
  page.on('request', (request) => {
    if (request.url().includes('/cursor')) leases.push(JSON.parse(request.postData() ?? '{}').active)
  })
  const untilLeases = (active: boolean) =>
    until(
      `leases of ${active}`,
      () => leases.slice(-2).length === 2 && leases.slice(-2).every((each) => each === active),
    )
  await untilLeases(true)
  await letPass(page, 4)
  await untilLeases(false)
  await anna.send(conversation, 'are you there?')
  await untilTexts(page, MESSAGES, ['hello', 'are you there?'])
  leases.length = 0
  await untilLeases(false)
  expect(await unread()).toBe(1)

  const other = await page.browserContext().newPage()
  await lookAt(other)
  await other.goto(gateway.url)
  await other.waitForSelector('#chat:not([hidden])')
  let place = 100
  await until('the reading', async () => {
    await other.mouse.move(place++, 100)
    return (await unread()) === 0
  })
  await untilLeases(true)
})
