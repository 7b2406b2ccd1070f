import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Browser, Page } from 'puppeteer-core'
import { lookAt, openBrowser, openTrustingChromium } from '../../support/browser.ts'
import { until } from '../../support/wait.ts'
import type { Box, Origin } from '../box.ts'
import { type Meeting, meet } from './meeting.ts'
import type { Arrival, Journey, MakeTraveller } from './traveller.ts'

const PATIENCE_MS = 5_000
/** Whoever waits so long for a page, or in vain so often, has it from an earlier day. */
const LOAD_MS = 40_000
const LOADS = 4

/**
 * The SDK as a page has it, in Chromium: signed in by cookie, with the browser's own event source, connections and
 * proxy. There is nothing else in the page, so that it is the network that is measured.
 */
export const makePage: MakeTraveller = async (origin) => {
  const meeting = await meet(origin)
  const start = (box: Box) => travel(box, origin, meeting)
  return { name: 'page', origin, start, [Symbol.asyncDispose]: () => meeting.end() }
}

async function travel(box: Box, origin: Origin, meeting: Meeting): Promise<Journey> {
  await using onFailure = new AsyncDisposableStack()
  const { authority } = box
  const browser = await (authority === undefined ? openBrowser() : openTrustingChromium(keyOf(authority)))
  onFailure.defer(() => browser.close())
  const page = await openPage(browser, box)
  const received: Arrival[] = []
  let status = { state: 'connecting', transport: '' }
  await page.exposeFunction('heard', (text: string) => received.push({ text, at: performance.now() }))
  await page.exposeFunction('stands', (now: typeof status) => {
    status = now
  })
  await load(page, box, origin)
  await signIn(page, meeting)
  const begun = performance.now()
  await page.evaluate(`{
    window.chat = connect({ url: location.origin, cookie: true, after: '${meeting.cursor}' })
    chat.on('event', ({ message }) => {
      if (message && message.sender_id !== '${meeting.near.id}') heard(message.text)
    })
    chat.on('status', ({ state, transport }) => stands({ state, transport }))
  }`)
  await until('the page', () => status.state === 'live', PATIENCE_MS).catch(() => {})
  const all = onFailure.move()
  return {
    begun,
    received,
    sent: meeting.arrived,
    get rung() {
      return status.state === 'connecting' ? undefined : status.transport
    },
    say: meeting.say,
    // One that is refused is missing at the far end.
    send: (text) =>
      void page
        .evaluate(`void chat.send('${meeting.conversation}', '${text}').catch(() => {})`)
        .catch(() => {}),
    stop: () => all.disposeAsync(),
  }
}

/** A fresh profile that goes through the box as its user would have set it up. */
async function openPage(browser: Browser, { proxyUrl }: Box): Promise<Page> {
  // Loopback addresses would else not go through the proxy.
  const proxy = proxyUrl === undefined ? {} : { proxyServer: proxyUrl, proxyBypassList: ['<-loopback>'] }
  const context = await browser.createBrowserContext(proxy)
  const page = await context.newPage()
  await lookAt(page)
  return page
}

/** Loads the SDK through the box; where it does not get through in a few tries, one that was kept from before. */
async function load(page: Page, { url }: Box, { http }: Origin): Promise<void> {
  const tries = async (what: () => Promise<unknown>) => {
    for (let left = LOADS; left > 0; left -= 1) {
      const isDone = await what().then(
        () => true,
        () => false,
      )
      if (isDone) return true
    }
    return false
  }
  // The smallest document of the gateway's.
  if (!(await tries(() => page.goto(`${url}/healthz`, { timeout: LOAD_MS }))))
    throw new Error('the page does not load')
  const importFrom = (address: string) =>
    page.evaluate(`import(${address}).then(({ connect }) => { window.connect = connect })`)
  // Each time another address: a module that failed is not asked for again.
  if (await tries(() => importFrom("'/client.js?' + Math.random()"))) return
  const kept = JSON.stringify(await (await fetch(`${http}/client.js`)).text())
  await importFrom(`URL.createObjectURL(new Blob([${kept}], { type: 'text/javascript' }))`)
}

async function signIn(page: Page, { near }: Meeting): Promise<void> {
  const { username } = near.session.user
  const body = JSON.stringify({ username, password: 'correct horse', cookie: true })
  const asked = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body }
  const ask = `fetch('/v1/sessions', ${JSON.stringify(asked)}).then((answer) => answer.status)`
  const isIn = () =>
    page
      .evaluate(ask)
      .then((status) => status === 201)
      .catch(() => false)
  await until('the sign-in', isIn, LOAD_MS)
}

/** What Chromium is told to trust an authority by. */
function keyOf(authority: string): string {
  const { publicKey } = new X509Certificate(readFileSync(authority))
  const der = publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(der).digest('base64')
}
