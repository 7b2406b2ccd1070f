import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser } from './support/browser.ts'
import { GatewayProcess } from './support/gateway-process.ts'
import { call, Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { until } from './support/wait.ts'

let postgres: TestPostgres
let browsers: (BrowserContext & AsyncDisposable)[]

beforeAll(async () => {
  postgres = await startPostgres()
  browsers = await Promise.all([openBrowser(), openBrowser()])
})

afterAll(async () => {
  for (const browser of browsers ?? []) await browser[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

function startNode(port = '0'): GatewayProcess {
  return new GatewayProcess({ DATABASE_URL: postgres.url, PORT: port })
}

test('a native EventSource receives, reconnects by itself and resumes where it was', {
  timeout: 60_000,
}, async () => {
  let node = startNode()
  const base = await node.url()
  const alice = await Person.signUp(base)
  const page = await (browsers[0] as BrowserContext).newPage()
  await page.goto(base)
  const id = await page.evaluate(async () => {
    const body = JSON.stringify({ username: 'eventsource', password: 'correct horse', cookie: true })
    const headers = { 'content-type': 'application/json' }
    const { user } = await (await fetch('/v1/accounts', { method: 'POST', headers, body })).json()
    const heard: string[] = []
    const source = new EventSource('/v1/events?as=sse&after=0')
    source.onmessage = ({ data }) => {
      const { message } = JSON.parse(data)
      if (message) heard.push(message.text)
    }
    Object.assign(window, { heard, source })
    return user.id as string
  })
  const heard = () => page.evaluate(() => (window as unknown as { heard: string[] }).heard)
  const { body: chat } = await alice.call('POST', '/v1/conversations', { kind: 'direct', members: [id] })
  for (const text of ['one', 'two']) await alice.send(String(chat.id), text)
  await until('both', async () => (await heard()).length === 2)

  await node.kill()
  node = startNode(new URL(base).port)
  await node.url()
  await alice.send(String(chat.id), 'three')
  await until('the third', async () => (await heard()).length === 3, 20_000)
  expect(await heard()).toEqual(['one', 'two', 'three'])
  await page.close()
  await node.kill()
})

/** Creates an account through the page. */
async function signUp(page: Page, base: string, username: string): Promise<void> {
  // Cookies know no port: one of a test before would be signed in already.
  await page.context().clearCookies()
  await page.goto(base)
  await page.fill('#username', username)
  await page.fill('#password', 'correct horse')
  await page.click('#sign-up-button')
  await page.waitForSelector('#chat:not([hidden])')
}

async function send(page: Page, text: string): Promise<void> {
  await page.fill('#message-text', text)
  await page.press('#message-text', 'Enter')
}

const texts = (page: Page) =>
  page.locator('[data-testid=message][data-state=sent] [data-testid=message-text]').allTextContents()

test('who is there, who types and what was read is seen by the other', { timeout: 60_000 }, async () => {
  const node = startNode()
  const base = await node.url()
  const [one, two] = await Promise.all(browsers.map((browser) => browser.newPage()))
  if (!one || !two) throw new Error('no pages')
  await signUp(one, base, 'passing-one')
  await signUp(two, base, 'passing-two')
  await one.fill('#person-search', 'passing-t')
  await one.locator('[data-testid=person]').first().click()
  await until('the other to be online', async () =>
    (await one.textContent('#conversation-detail'))?.endsWith('· online'),
  )
  await one.locator('[data-testid=conversation] .online').waitFor()
  await send(one, 'are you there?')
  await two.locator('[data-testid=conversation] a').first().click()
  await one.locator('[data-testid=message] .state', { hasText: 'read' }).waitFor()
  await two.locator('#message-text').pressSequentially('yes')
  await until(
    'typing',
    async () => (await one.textContent('[data-testid=typing]')) === 'passing-two is typing…',
  )
  await send(two, 'yes')
  await until('the end of it', async () => (await one.textContent('[data-testid=typing]')) === '')
  await Promise.all([one.close(), two.close()])
  await node.kill()
})

test('two windows chat, the server is killed in the middle: nothing is missing, nothing doubled', {
  timeout: 90_000,
}, async () => {
  let node = startNode()
  const base = await node.url()
  const [one, two] = await Promise.all(browsers.map((browser) => browser.newPage()))
  if (!one || !two) throw new Error('no pages')
  await signUp(one, base, 'window-one')
  await signUp(two, base, 'window-two')
  await one.fill('#person-search', 'window-t')
  await one.locator('[data-testid=person]').first().click()
  await send(one, 'hello from one')
  await two.locator('[data-testid=conversation] a').first().click()
  await send(two, 'hello from two')
  const expected = ['hello from one', 'hello from two']
  for (const page of [one, two]) await until('the first two', async () => (await texts(page)).length === 2)

  await node.kill()
  await send(one, 'while it was down, one')
  await send(two, 'while it was down, two')
  expect((await call(base, 'GET', '/healthz').catch(() => undefined)) === undefined).toBe(true)
  node = startNode(new URL(base).port)
  await node.url()
  for (const page of [one, two]) await until('all four', async () => (await texts(page)).length >= 4, 40_000)
  await send(one, 'and on')
  for (const page of [one, two]) await until('all five', async () => (await texts(page)).length >= 5)
  const seen = await texts(one)
  expect(seen.slice(0, 2)).toEqual(expected)
  expect([...seen].sort()).toEqual(
    [...expected, 'while it was down, one', 'while it was down, two', 'and on'].sort(),
  )
  expect(await texts(two)).toEqual(seen)

  await one.reload()
  await one.waitForSelector('#chat:not([hidden])')
  await one.locator('[data-testid=conversation] a').first().click()
  await until('the history', async () => (await texts(one)).length >= 5)
  expect(await texts(one)).toEqual(seen)
  await node.kill()
})

test('a message is found by its words, and its conversation opens there, however long ago it was', {
  timeout: 60_000,
}, async () => {
  const node = startNode()
  const base = await node.url()
  const page = await (browsers[0] as BrowserContext).newPage()
  await signUp(page, base, 'searcher')
  const writer = await Person.signUp(base)
  const { body } = await writer.call<{ users: { id: string }[] }>('GET', '/v1/users?query=searcher')
  const { body: chat } = await writer.call('POST', '/v1/conversations', {
    kind: 'direct',
    members: [body.users[0]?.id],
  })
  for (let n = 1; n <= 160; n += 1)
    await writer.send(String(chat.id), n === 20 ? 'the <b>needle</b> of old' : `hay ${n}`)
  await page.fill('#message-search', 'needle')
  await page.locator('[data-testid=found]').first().click()
  const sought = page.locator('.message.sought [data-testid=message-text]')
  await until('the message', async () => (await sought.allTextContents())[0] === 'the <b>needle</b> of old')
  expect(await page.locator('[data-testid=found] mark').allTextContents()).toEqual(['needle'])
  expect(await sought.isVisible()).toBe(true)
  while (await page.locator('#newer').isVisible()) {
    const before = (await texts(page)).length
    await page.click('#newer')
    await until('newer ones', async () => (await texts(page)).length > before)
  }
  expect((await texts(page)).at(-1)).toBe('hay 160')
  await page.close()
  await node.kill()
})
