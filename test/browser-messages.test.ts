import type { Browser, Page } from 'puppeteer-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Message } from '../src/protocol/types.ts'
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
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()
const GONE = 'Message deleted'
let names = 0

describe.each(['chromium', 'firefox'] as const)('in %s', { timeout: 60_000 }, (name) => {
  let browser: Browser & AsyncDisposable
  const faults: string[] = []

  beforeAll(async () => {
    browser = await openBrowser(name)
  }, 60_000)
  afterAll(async () => browser?.[Symbol.asyncDispose]())
  afterEach(() => expect(faults.splice(0)).toEqual([]))

  async function newWindow(): Promise<{ page: Page; username: string }> {
    const page = await openWindow(browser, gateway.url)
    page.on('pageerror', (error) => faults.push(String(error)))
    const username = `${name}-${names++}`
    await signUp(page, username)
    return { page, username }
  }

  /** Somebody at the page and somebody without, in one conversation. */
  async function pair() {
    const friend = await Person.signUp(gateway.url)
    const { page, username } = await newWindow()
    const friendName = friend.session.user.username ?? ''
    await find(page, friendName)
    const chat = page.url().split('#')[1] ?? ''
    return { friend, friendName, page, username, chat, path: `/v1/conversations/${chat}` }
  }

  const row = (seq: number) => `[data-testid=message][data-seq="${seq}"]`

  async function chooseFromMenu(page: Page, seq: number, choice: string): Promise<void> {
    await page.locator(`${row(seq)} .text`).hover()
    await page.locator(`${row(seq)} [data-testid=message-menu]`).click()
    await page.locator(choice).click()
  }

  test('a message is edited and deleted, here and elsewhere', async () => {
    const { friend, page, path } = await pair()
    await write(page, 'helo')
    await untilTexts(page, MESSAGES, ['helo'])
    await chooseFromMenu(page, 1, '#edit')
    await write(page, 'hello')
    await untilTexts(page, MESSAGES, ['hello'])
    expect((await friend.call<Message>('GET', `${path}/messages/1`)).body.text).toBe('hello')
    expect(await page.$eval('#message-text', (field) => (field as HTMLTextAreaElement).value)).toBe('')
    await page.keyboard.press('ArrowUp')
    await write(page, 'hello!')
    await untilTexts(page, MESSAGES, ['hello!'])
    await friend.call('POST', `${path}/messages`, { text: 'hi' })
    await untilTexts(page, MESSAGES, ['hello!', 'hi'])
    await friend.call('PATCH', `${path}/messages/2`, { text: 'hi there' })
    await untilTexts(page, MESSAGES, ['hello!', 'hi there'])
    await untilTexts(page, '.preview', ['hi there'])
    await chooseFromMenu(page, 1, '#delete')
    await untilTexts(page, MESSAGES, [GONE, 'hi there'])
    await friend.call('DELETE', `${path}/messages/2`)
    await untilTexts(page, MESSAGES, [GONE, GONE])
    expect(await page.$$('[data-testid=message-menu]')).toEqual([])
  })

  test('reactions: from the menu, typed, toggled by a click on a chip, and of others', async () => {
    const { friend, page, path } = await pair()
    await write(page, 'tea?')
    await untilTexts(page, MESSAGES, ['tea?'])
    await chooseFromMenu(page, 1, '#emojis button')
    await untilTexts(page, '.reaction', ['👍1'])
    await friend.call('PUT', `${path}/messages/1/reactions/${encodeURIComponent('👍')}`)
    await untilTexts(page, '.reaction', ['👍2'])
    await page.locator('.reaction').click()
    await untilTexts(page, '.reaction[aria-pressed=false]', ['👍1'])
    await page.locator('.reaction').click()
    await untilTexts(page, '.reaction[aria-pressed=true]', ['👍2'])
    await page.locator(`${row(1)} .text`).hover()
    await page.locator(`${row(1)} [data-testid=message-menu]`).click()
    await page.locator('#emoji').fill('🫖')
    await page.keyboard.press('Enter')
    await untilTexts(page, '.reaction', ['👍2', '🫖1'])
    await page.reload()
    await untilTexts(page, '.reaction[aria-pressed=true]', ['👍2', '🫖1'])
  })

  test('a reply quotes; a click jumps to what it quotes, also where that is not loaded', async () => {
    const { friend, page, path } = await pair()
    await friend.call('POST', `${path}/messages`, { text: 'the first of them' })
    await untilTexts(page, MESSAGES, ['the first of them'])
    await chooseFromMenu(page, 1, '#reply')
    await write(page, 'indeed')
    await untilTexts(page, '.quoted-text', ['the first of them'])
    await friend.call('PATCH', `${path}/messages/1`, { text: 'the very first' })
    await untilTexts(page, '.quoted-text', ['the very first'])
    for (let n = 3; n < 140; n += 1) await friend.call('POST', `${path}/messages`, { text: `message ${n}` })
    const { body } = await friend.call<Message>('POST', `${path}/messages`, {
      text: 'remember?',
      reply_to: 1,
    })
    await page.reload()
    await untilTexts(page, `${row(body.seq)} .quoted-text`, ['the very first'])
    expect(await page.$(row(1))).toBeNull()
    await page.locator('[data-testid=quote]').click()
    await page.waitForSelector(`${row(1)}:focus`)
    // What is between is loaded when it is asked for, until nothing is missing.
    await until('no gap', async () => {
      await page.$$eval('.gap button', ([first]) => (first as HTMLElement | undefined)?.click())
      return (await page.$$('.gap')).length === 0
    })
    expect(await texts(page, MESSAGES)).toHaveLength(body.seq)
  })

  test('mentions are counted apart and stand out; @ is completed by members', async () => {
    const { friend, friendName, page, username, path } = await pair()
    await page.evaluate(() => {
      location.hash = 'list'
    })
    await friend.call('POST', `${path}/messages`, { text: 'hello' })
    await friend.call('POST', `${path}/messages`, { text: `ask @${username}.` })
    await untilTexts(page, '[data-testid=unread]', ['2'])
    await untilTexts(page, '[data-testid=mentions]', ['@1'])
    await page.locator('[data-testid=conversation] a').click()
    await untilTexts(page, '.mentions-me .mention.me', [`@${username}`])
    await untilTexts(page, '[data-testid=mentions]', [''])
    await page.locator('#message-text').click()
    await until('completion', async () => {
      await page.locator('#message-text').fill('')
      await page.keyboard.type(`yes @${friendName.slice(0, 6)}`)
      return (await page.$$('[role=option]')).length > 0
    })
    await page.keyboard.press('Enter')
    await page.keyboard.type('then')
    await page.keyboard.press('Enter')
    await untilTexts(page, `${row(3)} .text`, [`yes @${friendName} then`])
    await untilTexts(page, `${row(3)} .mention`, [`@${friendName}`])
  })

  test('a hidden conversation leaves the list until something new comes; muted is said', async () => {
    const { friend, friendName, page, path } = await pair()
    await write(page, 'hello')
    await untilTexts(page, MESSAGES, ['hello'])
    const choose = async (choice: string) => {
      await page.locator('#conversation-menu-button').click()
      await page.locator(choice).click()
    }
    await choose('#mute')
    await page.waitForSelector('.conversation.muted')
    await choose('#hide')
    await page.waitForSelector('#conversation[hidden]')
    await untilTexts(page, '.conversation .name', [])
    await page.locator('#hidden-conversations').click()
    await untilTexts(page, '.conversation .name', [friendName])
    await page.locator('#hidden-conversations').click()
    await untilTexts(page, '.conversation .name', [])
    await friend.call('POST', `${path}/messages`, { text: 'there?' })
    await untilTexts(page, '.conversation .name', [friendName])
    await untilTexts(page, '.conversation .preview', ['there?'])
  })

  test('whoever is blocked is told that a message was not sent, until they are blocked no more', async () => {
    const { friend, page, path } = await pair()
    await write(page, 'hello')
    await untilTexts(page, MESSAGES, ['hello'])
    const toggleBlock = async (words: string) => {
      await page.locator('#conversation-menu-button').click()
      await untilTexts(page, '#block:enabled', [words])
      await page.locator('#block').click()
    }
    await toggleBlock('Block')
    const send = async () => (await friend.call('POST', `${path}/messages`, { text: 'hm' })).status
    await until('blocked', async () => (await send()) === 403)
    await toggleBlock('Unblock')
    await until('not blocked any more', async () => (await send()) === 201)
    const me = (await friend.call<{ peer: { id: string } }>('GET', path)).body.peer.id
    await friend.call('PUT', `/v1/users/me/blocks/${me}`)
    await write(page, 'are you there?')
    await page.waitForSelector('[data-state=failed] .reason')
    expect((await texts(page, '.reason'))[0]).toMatch(/^Not sent\. .*block/i)
  })

  test('a group: title, system messages, roles, removing, leaving', async () => {
    const { page } = await newWindow()
    const [bob, carol] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
    const [bobs, carols] = [bob, carol].map((person) => person.session.user.username ?? '') as [
      string,
      string,
    ]
    await page.locator('#new-group').click()
    await page.locator('#group-title').fill('Tea')
    await page.locator('#group-search').fill(bobs)
    await page.locator('#group-results [data-testid=person]').click()
    await page.locator('#group-create').click()
    await page.waitForSelector('#conversation:not([hidden])')
    await page.locator('#conversation-menu-button').click()
    await page.locator('#group-settings').click()
    await page.locator('#settings-system').click()
    await page.locator('#settings-search').fill(carols)
    await page.locator('#settings-results [data-testid=person]').click()
    const roles = () => texts(page, '#members .role')
    await until('three members', async () => (await roles()).length === 3)
    await page.select(`[aria-label="Role of ${bobs}"]`, 'admin')
    await until('an admin', async () => (await roles())[1] === 'Admin')
    await page.locator(`[aria-label="Remove ${carols}"]`).click()
    await until('two members', async () => (await roles()).length === 2)
    await page.locator('#settings-title').fill('Coffee')
    await page.keyboard.press('Enter')
    await untilTexts(page, '#conversation-title', ['Coffee'])
    await page.select(`[aria-label="Role of ${bobs}"]`, 'owner')
    await until('handed over', async () => (await roles()).join() === 'Admin,Owner')
    await page.locator('#leave').click()
    await page.waitForSelector('#conversation[hidden]')
    await untilTexts(page, '.conversation .name', [])
    const { body } = await bob.call<{ conversations: { id: string }[] }>('GET', '/v1/conversations')
    const { body: history } = await bob.call<{ messages: Message[] }>(
      'GET',
      `/v1/conversations/${body.conversations[0]?.id}/messages`,
    )
    expect(history.messages.map(({ text }) => text.split(' ')[1])).toEqual([
      'added',
      'removed',
      'named',
      'left',
    ])
  })
})
