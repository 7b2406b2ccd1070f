import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Database } from '../src/store/database.ts'
import {
  find,
  MESSAGES,
  openBrowser,
  openWindow,
  signUp,
  texts,
  untilTexts,
  write,
} from './support/browser.ts'
import { GatewayProcess } from './support/gateway-process.ts'
import { call, Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { until } from './support/wait.ts'

let postgres: TestPostgres
let browser: Browser & AsyncDisposable

beforeAll(async () => {
  postgres = await startPostgres()
  browser = await openBrowser()
})

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]()
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
  const page = await openWindow(browser, base)
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

test('who is there, who types and what was read is seen by the other', { timeout: 60_000 }, async () => {
  const node = startNode()
  const base = await node.url()
  const one = await openWindow(browser, base)
  const two = await openWindow(browser, base)
  await signUp(one, 'passing-one')
  await signUp(two, 'passing-two')
  await find(one, 'passing-t')
  await untilTexts(one, '#conversation-detail', ['@passing-two · online'])
  await one.waitForSelector('[data-testid=conversation] .online:not([hidden])')
  await write(one, 'are you there?')
  await two.locator('[data-testid=conversation] a').click()
  await untilTexts(one, '[data-testid=message] .state', [' · read ✓'])
  await two.locator('#message-text').click()
  await two.keyboard.type('yes')
  await untilTexts(one, '[data-testid=typing]', ['passing-two is typing…'])
  await two.keyboard.press('Enter')
  await untilTexts(one, '[data-testid=typing]', [''])
  await node.kill()
})

test('two windows chat, the server is killed in the middle: nothing is missing, nothing doubled', {
  timeout: 90_000,
}, async () => {
  let node = startNode()
  const base = await node.url()
  const one = await openWindow(browser, base)
  const two = await openWindow(browser, base)
  await signUp(one, 'window-one')
  await signUp(two, 'window-two')
  await find(one, 'window-t')
  await write(one, 'hello from one')
  await two.locator('[data-testid=conversation] a').click()
  await write(two, 'hello from two')
  const expected = ['hello from one', 'hello from two']
  for (const page of [one, two]) await untilTexts(page, MESSAGES, expected)

  await node.kill()
  await write(one, 'while it was down, one')
  await write(two, 'while it was down, two')
  expect((await call(base, 'GET', '/healthz').catch(() => undefined)) === undefined).toBe(true)
  node = startNode(new URL(base).port)
  await node.url()
  for (const page of [one, two])
    await until('all four', async () => (await texts(page, MESSAGES)).length >= 4, 40_000)
  await write(one, 'and on')
  for (const page of [one, two])
    await until('all five', async () => (await texts(page, MESSAGES)).length >= 5)
  const seen = await texts(one, MESSAGES)
  expect(seen.slice(0, 2)).toEqual(expected)
  expect([...seen].sort()).toEqual(
    [...expected, 'while it was down, one', 'while it was down, two', 'and on'].sort(),
  )
  expect(await texts(two, MESSAGES)).toEqual(seen)

  await one.reload()
  await one.waitForSelector('#chat:not([hidden])')
  await one.locator('[data-testid=conversation] a').click()
  await until('the history', async () => (await texts(one, MESSAGES)).length >= 5)
  expect(await texts(one, MESSAGES)).toEqual(seen)
  await node.kill()
})

test('a message is found by its words, and its conversation opens there, however long ago it was', {
  timeout: 60_000,
}, async () => {
  const node = startNode()
  const base = await node.url()
  const page = await openWindow(browser, base)
  await signUp(page, 'searcher')
  const writer = await Person.signUp(base)
  const { body } = await writer.call<{ users: { id: string }[] }>('GET', '/v1/users?query=searcher')
  const { body: chat } = await writer.call('POST', '/v1/conversations', {
    kind: 'direct',
    members: [body.users[0]?.id],
  })
  for (let n = 1; n <= 160; n += 1)
    await writer.send(String(chat.id), n === 20 ? 'the <b>needle</b> of old' : `hay ${n}`)
  await page.locator('#message-search').fill('needle')
  await page.locator('[data-testid=found]').click()
  const sought = '.message.sought [data-testid=message-text]'
  await untilTexts(page, sought, ['the <b>needle</b> of old'])
  expect(await texts(page, '[data-testid=found] mark')).toEqual(['needle'])
  expect(await page.$eval(sought, (found) => found.checkVisibility())).toBe(true)
  await until('no gap', async () => {
    await page.$$eval('.gap button', ([first]) => (first as HTMLElement | undefined)?.click())
    return (await page.$$('.gap')).length === 0
  })
  expect((await texts(page, MESSAGES)).at(-1)).toBe('hay 160')
  await node.kill()
})

test('an announcement stands on top of all until it is put away', { timeout: 60_000 }, async () => {
  const ADMIN_TOKEN = 'an admin token of more than 32 characters'.replaceAll(' ', '-')
  await using node = new GatewayProcess({ DATABASE_URL: postgres.url, PORT: '0', ADMIN_TOKEN })
  const base = await node.url()
  const page = await openWindow(browser, base)
  await signUp(page, 'announced')
  const announce = (text: string) =>
    call(base, 'POST', '/v1/admin/broadcasts', {
      body: { text },
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    })
  const shown = () =>
    page.evaluate(() => {
      const notice = document.getElementById('announcement')
      return notice?.hidden ? '' : notice?.querySelector('p')?.textContent
    })
  await announce('We move on Monday.')
  await until('it', async () => (await shown()) === 'We move on Monday.')
  await page.reload()
  await until('it again', async () => (await shown()) === 'We move on Monday.')
  await page.click('#announcement-close')
  expect(await shown()).toBe('')
  await announce('We have moved.')
  await until('the next one', async () => (await shown()) === 'We have moved.')
})

test('told to reset, the page shows what is, not what it knew', { timeout: 60_000 }, async () => {
  let node = startNode()
  const base = await node.url()
  const [friend, other] = [await Person.signUp(base), await Person.signUp(base)]
  const page = await openWindow(browser, base)
  await signUp(page, 'resetter')
  await find(page, friend.session.user.username ?? '')
  const path = `/v1/conversations/${page.url().split('#')[1]}`
  for (const text of ['one', 'two']) await write(page, text)
  await untilTexts(page, MESSAGES, ['one', 'two'])
  await friend.call('PUT', `${path}/messages/1/reactions/${encodeURIComponent('👍')}`)
  await untilTexts(page, '.reaction', ['👍1'])

  // Cursors of before are unknown after this, and what happens meanwhile is told by no event.
  await node.kill()
  {
    await using database = new Database({ url: postgres.url, maxConnections: 1 })
    await database.sql`DELETE FROM database_epoch`
  }
  await using elsewhere = startNode()
  const there = friend.at(await elsewhere.url())
  await there.call('DELETE', `${path}/messages/1/reactions/${encodeURIComponent('👍')}`)
  await there.call('PUT', `${path}/messages/2/reactions/${encodeURIComponent('🎉')}`)
  await there.call('POST', `${path}/messages`, { text: 'three' })
  await there.call('DELETE', `${path}/messages/3`)
  const me = (await there.call<{ peer: { id: string } }>('GET', path)).body.peer.id
  const group = await there.group([other], { title: 'New' })
  await there.call('PUT', `/v1/conversations/${group}/members/${me}`)

  node = startNode(new URL(base).port)
  await node.url()
  await untilTexts(page, MESSAGES, ['one', 'two', 'Message deleted'], 40_000)
  await untilTexts(page, '.reaction', ['🎉1'])
  await untilTexts(page, '.conversation .name', ['New', friend.session.user.display_name])
  await friend.call('POST', `${path}/messages`, { text: 'on it goes' })
  await untilTexts(page, MESSAGES, ['one', 'two', 'Message deleted', 'on it goes'])
  await node.kill()
})
