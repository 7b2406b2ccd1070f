import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import type { PushOutcome } from '../src/push/push.ts'
import { startGateway } from './support/gateway.ts'
import type { Person } from './support/person.ts'
import { GRACE_MS, usePush } from './support/push.ts'
import { PushRecorder, type Sent } from './support/push-recorder.ts'
import { until } from './support/wait.ts'

const push = usePush()
const recorder = new PushRecorder()
let gateway: Gateway

// With turns as long as they are for all.
beforeAll(async () => {
  const overrides = { send: recorder.send, shownMs: 200 }
  gateway = await startGateway(push.postgres.url, { push: { graceMs: GRACE_MS } }, { push: overrides })
})
beforeEach(() => recorder.reset())
afterAll(() => gateway?.[Symbol.asyncDispose]())

const accepted: PushOutcome = { type: 'accepted' }
const retry = (afterMs?: number): PushOutcome => ({ type: 'retry', afterMs, reason: '503' })
const read = (person: Person, conversation: string, seq: number) =>
  person.call('PUT', `/v1/conversations/${conversation}/read`, { seq })
const previews = (sent: Sent[]) => sent.map(({ payload }) => payload.preview)

/** Alice, and Bob with a phone (his first device) and a tablet, each with a push service of its own. */
async function twoDevices({ silent = false } = {}) {
  const { alice, bob, conversation } = await push.pair(gateway.url)
  await push.unsubscribe(bob)
  const tablet = await bob.anotherDevice()
  const hosts = { phone: `${randomUUID()}.example`, tablet: `${randomUUID()}.example` }
  await push.subscribe(bob, { silent, host: hosts.phone })
  await push.subscribe(tablet, { host: hosts.tablet })
  const to = (host: string) => recorder.to(bob).filter(({ target }) => new URL(target.endpoint).host === host)
  const arrived = async (host: string, count: number, limitMs = 5_000) => {
    await until(`${count} pushes`, () => to(host).length >= count, limitMs)
    return to(host)
  }
  const onPhone = (count: number) => arrived(hosts.phone, count)
  const onTablet = (count: number) => arrived(hosts.tablet, count)
  const isTablet = ({ target }: Sent) => new URL(target.endpoint).host === hosts.tablet
  /** The row of a conversation, once that is so. */
  const row = async (condition: (row: { rung: string[]; later: boolean }) => boolean) => {
    await until('the row', async () => {
      const [found] = await push.database.sql<{ rung: string[]; later: boolean }[]>`
        SELECT rung, due_at > now() AS later FROM pushes WHERE user_id = ${bob.id} AND about = ${conversation}`
      return found !== undefined && condition(found)
    })
  }
  return { alice, bob, tablet, conversation, onPhone, onTablet, isTablet, row }
}

/** Bob is rung for two messages in one turn; the first is under way. */
async function oneAndTwo() {
  const { alice, bob, conversation } = await push.pair(gateway.url)
  const group = await alice.group([bob])
  const messages = [
    { conversation_id: conversation, text: 'one', client_id: 'one' },
    { conversation_id: group, text: 'two', client_id: 'two' },
  ]
  await alice.call('POST', '/v1/messages', { messages })
  await recorder.waitFor(bob)
  return { bob, group }
}

describe('while a device is to be tried again later', () => {
  test('the next episode rings the others', async () => {
    const { alice, bob, conversation, onPhone, isTablet, row } = await twoDevices()
    recorder.answer = (sent) => (isTablet(sent) ? retry(3_600_000) : accepted)
    await alice.send(conversation, 'one')
    await onPhone(1)
    await row(({ rung, later }) => rung.length === 1 && later)
    await read(bob, conversation, 1)
    await alice.send(conversation, 'two')
    expect(previews(await onPhone(2))).toEqual(['one', 'two'])
  })

  test('so does what comes after a part was read', async () => {
    const { alice, bob, conversation, onPhone, isTablet, row } = await twoDevices()
    recorder.answer = (sent) => (isTablet(sent) ? retry(3_600_000) : accepted)
    await alice.send(conversation, 'one')
    await row(({ rung, later }) => rung.length === 1 && later)
    await alice.send(conversation, 'two')
    await until('it to be planned', async () => {
      const rows = await push.database.sql`SELECT 1 FROM pushes WHERE user_id = ${bob.id} AND inbox_id > 2`
      return rows.length === 1
    })
    await read(bob, conversation, 1)
    await alice.send(conversation, 'three')
    expect(previews(await onPhone(2))).toEqual(['one', 'three'])
  })

  test('what comes while it is tried, and is behind what was read meanwhile, rings the others', async () => {
    const { alice, bob, conversation, onPhone, onTablet, isTablet } = await twoDevices()
    let isHeld = true
    recorder.answer = async (sent) => {
      if (!isTablet(sent)) return accepted
      await until('the reading', () => !isHeld)
      return retry(3_600_000)
    }
    await alice.send(conversation, 'one')
    await onTablet(1)
    await read(bob, conversation, 1)
    await alice.send(conversation, 'two')
    await until('it to be planned', async () => {
      const rows = await push.database.sql`SELECT 1 FROM pushes WHERE user_id = ${bob.id} AND seq = 2`
      return rows.length === 1
    })
    isHeld = false
    expect(previews(await onPhone(2))).toEqual(['one', 'two'])
  })

  test('reading takes back what the others show', async () => {
    const { alice, bob, conversation, onPhone, isTablet, row } = await twoDevices({ silent: true })
    recorder.answer = (sent) => (isTablet(sent) ? retry(3_600_000) : accepted)
    await alice.send(conversation, 'one')
    await row(({ rung, later }) => rung.length === 1 && later)
    await read(bob, conversation, 1)
    const [, withdrawn] = await onPhone(2)
    expect(withdrawn?.payload.type).toBe('read')
  })

  test('a newer message of the episode has its own 24 hours', async () => {
    const { alice, bob, conversation, onTablet, isTablet, row } = await twoDevices()
    let failures = 1
    recorder.answer = (sent) => (isTablet(sent) && failures-- > 0 ? retry(3_600_000) : accepted)
    await alice.send(conversation, 'one')
    await row(({ rung, later }) => rung.length === 1 && later)
    await push.database.sql`
      UPDATE pushes SET begun_at = now() - interval '23 hours 59 minutes' WHERE user_id = ${bob.id}`
    await alice.send(conversation, 'two')
    await until('it to be planned', async () => {
      const rows = await push.database.sql`SELECT 1 FROM pushes WHERE user_id = ${bob.id} AND inbox_id > 2`
      return rows.length === 1
    })
    await push.database.sql`
      UPDATE pushes SET tries = '{}', due_at = now() WHERE user_id = ${bob.id}`
    // Gives him a turn.
    await alice.send(await alice.group([bob]), 'elsewhere')
    const sent = (await onTablet(3)).find(({ payload }) => payload.preview === 'two')
    expect(sent?.options.ttlSeconds).toBeGreaterThan(86_000)
  })
})

test('a browser that subscribes after the one that was rung has gone is rung by the next message', async () => {
  const { alice, bob, conversation } = await push.pair(gateway.url)
  await alice.send(conversation, 'one')
  await recorder.waitFor(bob)
  await push.unsubscribe(bob)
  const browser = await bob.anotherDevice()
  await push.subscribe(browser)
  await alice.send(conversation, 'two')
  const [, second] = await recorder.waitFor(bob, 2, 5_000)
  expect(second?.target.device_id).toBe(browser.session.device_id)
  expect(second?.payload.preview).toBe('two')
})

describe('a device whose push service does not answer', () => {
  test('holds up nothing that becomes due for the others meanwhile, and gets it in order', async () => {
    const { alice, bob, conversation, onPhone, onTablet, isTablet } = await twoDevices()
    let isHeld = true
    recorder.answer = async (sent, signal) => {
      if (!isTablet(sent) || !isHeld) return accepted
      await until('the answer', () => !isHeld || signal.aborted, 20_000)
      return retry(500)
    }
    const group = await alice.group([bob])
    await alice.send(conversation, 'one')
    await onTablet(1)
    await alice.send(group, 'two')
    expect(previews(await onPhone(2))).toEqual(['one', 'two'])
    expect(await onTablet(1)).toHaveLength(1)
    isHeld = false
    expect(previews(await onTablet(3))).toEqual(['one', 'one', 'two'])
    await until('both to be written', async () => {
      const rows = await push.database.sql`SELECT 1 FROM pushes WHERE user_id = ${bob.id} AND due_at IS NULL`
      return rows.length === 2
    })
    expect(recorder.to(bob)).toHaveLength(5)
  })

  test('is sent nothing any more that was read, or once it has unsubscribed, in the meantime', async () => {
    let isHeld = true
    recorder.answer = async (_, signal) => {
      await until('the answer', () => !isHeld || signal.aborted, 20_000)
      return accepted
    }
    const [reader, leaver] = [await oneAndTwo(), await oneAndTwo()]
    await read(reader.bob, reader.group, 1)
    await push.unsubscribe(leaver.bob)
    const [sent] = recorder.to(leaver.bob)
    await until('a second to be over', () => performance.now() - (sent?.at ?? 0) > 1_200)
    isHeld = false
    await until('the second of each to be given up', async () => {
      const rows = await push.database.sql`
        SELECT 1 FROM pushes WHERE user_id = ANY (${[reader.bob.id, leaver.bob.id]}) AND due_at IS NOT NULL`
      return rows.length === 0
    })
    for (const { bob } of [reader, leaver]) expect(previews(recorder.to(bob))).toEqual(['one'])
  })
})

test('what is behind a push that is to be tried again is not sent before it', async () => {
  let failures = 2
  recorder.answer = () => (failures-- > 0 ? retry(500) : accepted)
  const { bob } = await oneAndTwo()
  expect(previews(await recorder.waitFor(bob, 4))).toEqual(['one', 'one', 'one', 'two'])
})
