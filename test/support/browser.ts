import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, firefox } from 'playwright-core'

export type BrowserName = 'chromium' | 'firefox'

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
/** Debian's own, which speaks WebDriver BiDi. */
const FIREFOX = { executablePath: '/usr/bin/firefox-esr', channel: 'moz-firefox' }

/** A browser with a profile of its own: cookies and storage are apart from any other. */
export async function openBrowser(
  name: BrowserName = 'chromium',
): Promise<BrowserContext & AsyncDisposable> {
  const profile = await mkdtemp(join(tmpdir(), 'longwave-browser-'))
  const [type, options] = name === 'chromium' ? [chromium, CHROMIUM] : [firefox, FIREFOX]
  const context = await type.launchPersistentContext(profile, { headless: true, ...options })
  return Object.assign(context, {
    async [Symbol.asyncDispose]() {
      await context.close()
      await rm(profile, { recursive: true, force: true })
    },
  })
}
