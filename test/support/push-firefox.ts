import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Browser, launch, type Page } from 'puppeteer-core'
import { until } from './wait.ts'
import type { WebPushService } from './web-push-service.ts'

const ALERT = 'chrome://global/content/alerts/alert.xhtml'
/** A click that came while the notification was still opening has no effect. */
const AGAIN_MS = 500

/** What the alert window was opened with. */
const ALERT_TEXT = `window.arguments[1] + ': ' + window.arguments[2]`
const WINDOW = 'chrome://browser/content/browser.xhtml'
const QUOTAS = `(async () => {
  const { PushService } = ChromeUtils.importESModule('resource://gre/modules/PushService.sys.mjs')
  if (PushService._updateQuotaTimeouts.size > 0) return 'counting'
  return JSON.stringify((await PushService.getAllUnexpired()).map(({ quota }) => quota))
})()`

/** Cookies, storage, service workers and subscriptions of all sites. */
const FORGET = `new Promise((resolve) => Services.clearData.deleteData(Ci.nsIClearDataService.CLEAR_ALL, { onDataDeleted: resolve }))`

type Context = { context: string; url: string }
type Connection = { send(method: string, params: object): Promise<{ result: unknown }> }

/** A Firefox that receives Web Push from `service`, with a profile that outlives its restarts. */
export class PushFirefox implements AsyncDisposable {
  readonly #service: WebPushService
  readonly #profile: string
  readonly #preferences: Record<string, unknown>
  #browser: Browser

  private constructor(
    service: WebPushService,
    profile: string,
    preferences: Record<string, unknown>,
    browser: Browser,
  ) {
    this.#service = service
    this.#profile = profile
    this.#preferences = preferences
    this.#browser = browser
  }

  static async open(service: WebPushService, more: Record<string, unknown> = {}): Promise<PushFirefox> {
    const profile = await mkdtemp(join(tmpdir(), 'push-firefox-'))
    const preferences = { ...service.preferences, ...more }
    return new PushFirefox(service, profile, preferences, await start(profile, preferences))
  }

  /** Ends the browser and starts it again, without a page; resolves when it can be pushed to. */
  async restart(): Promise<void> {
    await this.#browser.close()
    await until('the push service to notice', () => this.#service.browsers === 0)
    this.#browser = await start(this.#profile, this.#preferences)
    await until('the browser to be there for pushes', () => this.#service.browsers === 1)
  }

  async page(address: string): Promise<Page> {
    const page = await this.#browser.newPage()
    page.on('dialog', (dialog) => void dialog.accept())
    await page.goto(address)
    return page
  }

  /** As new: no page is open, and no site knows it any more. */
  async forget(): Promise<void> {
    const former = await this.#browser.pages()
    await this.page('about:blank')
    await Promise.all(former.map((page) => page.close()))
    await this.#inBrowser(FORGET)
  }

  async addresses(): Promise<string[]> {
    return (await this.#browser.pages()).map((page) => page.url())
  }

  /** The notifications on screen, `title: body` each. They leave it after 20 s. */
  async shown(): Promise<string[]> {
    const alerts = await this.#alerts()
    const texts = alerts.map(({ context }) => this.#evaluate(context, ALERT_TEXT))
    return (await Promise.all(texts)).map(String)
  }

  /** Waits until exactly these notifications are on screen. */
  async untilShown(expected: string[]): Promise<void> {
    let last: string[] = []
    const isThere = async () => {
      // One that is just closing can no longer be asked.
      last = await this.shown().catch(() => ['(closing)'])
      return JSON.stringify(last) === JSON.stringify(expected)
    }
    await until('notifications', isThere).catch(() => {
      throw new Error(`shown are ${JSON.stringify(last)}, not ${JSON.stringify(expected)}`)
    })
  }

  /** Clicks the only notification, as a person would: once more where it stays. */
  async clickNotification(): Promise<void> {
    if ((await this.#alerts()).length === 0) throw new Error('no notification is shown')
    const isGone = async () => {
      const [alert] = await this.#alerts()
      if (!alert) return true
      // It closes in the act, and so may not answer.
      await this.#evaluate(alert.context, `void document.getElementById('alertTextBox').click()`).catch(
        () => {},
      )
      await pause(AGAIN_MS)
      return false
    }
    await until('the notification to go', isGone)
  }

  /** Waits until so many silent pushes are left to each subscription, and all of the past have been counted. */
  async untilQuota(left: number): Promise<void> {
    await until(`a quota of ${left}`, async () => (await this.#inBrowser(QUOTAS)) === JSON.stringify([left]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close()
    await rm(this.#profile, { recursive: true, force: true })
  }

  /** Firefox's own windows can be asked like pages, with `--remote-allow-system-access`. */
  get #connection(): Connection {
    return (this.#browser as unknown as { connection: Connection }).connection
  }

  async #inBrowser(expression: string): Promise<unknown> {
    const [window] = (await this.#windows()).filter(({ url }) => url === WINDOW)
    return this.#evaluate(window?.context ?? '', expression)
  }

  async #alerts(): Promise<Context[]> {
    return (await this.#windows()).filter(({ url }) => url === ALERT)
  }

  async #windows(): Promise<Context[]> {
    const { result } = await this.#connection.send('browsingContext.getTree', { 'moz:scope': 'chrome' })
    return (result as { contexts: Context[] }).contexts
  }

  async #evaluate(context: string, expression: string): Promise<unknown> {
    const { result } = await this.#connection.send('script.evaluate', {
      expression,
      target: { context },
      awaitPromise: true,
    })
    return (result as { result?: { value?: unknown } }).result?.value
  }
}

function start(userDataDir: string, extraPrefsFirefox: Record<string, unknown>): Promise<Browser> {
  return launch({
    browser: 'firefox',
    executablePath: '/usr/bin/firefox-esr',
    headless: true,
    userDataDir,
    extraPrefsFirefox,
    args: ['--remote-allow-system-access'],
  })
}
