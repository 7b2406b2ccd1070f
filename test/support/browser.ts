import { type Browser, launch, type Page } from 'puppeteer-core'
import { until } from './wait.ts'

const CHROMIUM = {
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
}
const FIREFOX = { browser: 'firefox', executablePath: '/usr/bin/firefox-esr' } as const

export type BrowserName = 'chromium' | 'firefox'

/** One of Debian's browsers, with a profile that is gone afterwards. */
export async function openBrowser(name: BrowserName = 'chromium'): Promise<Browser & AsyncDisposable> {
  return launch({ headless: true, ...(name === 'chromium' ? CHROMIUM : FIREFOX) })
}

/** Chromium that takes whatever is signed with this key: the SHA-256 of its public key (SPKI, DER) in Base64. */
export async function openTrustingChromium(key: string): Promise<Browser & AsyncDisposable> {
  const args = [...CHROMIUM.args, `--ignore-certificate-errors-spki-list=${key}`]
  return launch({ headless: true, ...CHROMIUM, args })
}

/** Lets a page believe that somebody looks at it, whatever other windows there are. */
export async function lookAt(page: Page): Promise<void> {
  const session = await page.createCDPSession()
  await session.send('Emulation.setFocusEmulationEnabled', { enabled: true })
}

/** A window on this address, whose cookies and storage are apart from any other's. Every question is answered with yes. */
export async function openWindow(browser: Browser, address: string): Promise<Page> {
  const context = await browser.createBrowserContext()
  const page = await context.newPage()
  page.on('dialog', (dialog) => void dialog.accept())
  await page.goto(address)
  return page
}

/** Creates an account through the page. */
export async function signUp(page: Page, username: string): Promise<void> {
  await page.locator('#username').fill(username)
  await page.locator('#password').fill('correct horse')
  await page.locator('#sign-up-button').click()
  await page.waitForSelector('#chat:not([hidden])')
}

/** Opens the direct conversation with whoever is first to be found by the beginning of a name. */
export async function find(page: Page, name: string): Promise<void> {
  await page.locator('#person-search').fill(name)
  await page.locator('[data-testid=person]').click()
  await page.waitForSelector('#conversation:not([hidden])')
}

/** Writes into the message field and sends it. */
export async function write(page: Page, text: string): Promise<void> {
  await page.locator('#message-text').fill(text)
  await page.keyboard.press('Enter')
}

/** The texts of all that matches. */
export function texts(page: Page, selector: string): Promise<string[]> {
  return page.$$eval(selector, (found) => found.map((each) => each.textContent ?? ''))
}

/** Waits until what matches has these texts. */
export async function untilTexts(
  page: Page,
  selector: string,
  expected: string[],
  ms?: number,
): Promise<void> {
  let last: string[] = []
  const isThere = async () => {
    last = await texts(page, selector)
    return last.length === expected.length && last.every((text, place) => text === expected[place])
  }
  await until(`${selector} to be ${JSON.stringify(expected)}`, isThere, ms).catch((error: Error) => {
    throw new Error(`${error.message}, not ${JSON.stringify(last)}`)
  })
}

/** Messages that are committed, in order. */
export const MESSAGES = '[data-testid=message][data-state=sent] [data-testid=message-text]'
