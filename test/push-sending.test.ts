import { createECDH } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EndpointGuard } from '../src/push/endpoint-guard.ts'
import type { PushOptions, PushOutcome, PushPayload, PushTarget } from '../src/push/push.ts'
import { PushSender } from '../src/push/send.ts'
import { SenderThread } from '../src/push/sender-thread.ts'
import { loadVapidKeys, type VapidKeys, VapidSigner } from '../src/push/vapid.ts'
import { decrypt } from './support/push-crypto.ts'
import {
  answer,
  endless,
  hangUp,
  PushService,
  type SubscribedBrowser,
  silent,
  trickle,
} from './support/push-service.ts'
import { until } from './support/wait.ts'

const payload: PushPayload = {
  type: 'message',
  conversation_id: '0199a1b2-0000-7000-8000-000000000001',
  title: 'Anna',
  sender: 'Anna',
  preview: 'Grüße 👋',
  unread_count: 3,
  mention_count: 1,
}
const options: PushOptions = { topic: 'conversation-1', urgency: 'high', ttlSeconds: 86_400 }
/** What somebody who is not meant to could use. */
const SECRET = /push\/|[\w-]{20,}/

let service: PushService
let browser: SubscribedBrowser
let keys: VapidKeys
let signer: VapidSigner
let sender: PushSender
const guard = new EndpointGuard({ allowedHosts: [], allowPrivate: true })

beforeAll(async () => {
  const settings = { vapidPrivateKey: undefined, vapidSubject: undefined, publicUrl: undefined }
  keys = await loadVapidKeys(settings, async (_, make) => make())
  signer = new VapidSigner(keys)
  service = await PushService.start()
})
beforeEach(() => {
  browser = service.subscribe(keys.publicKey)
  sender?.[Symbol.dispose]()
  sender = new PushSender(signer, guard)
  service.flaws.length = 0
})
afterAll(async () => {
  sender?.[Symbol.dispose]()
  await service?.[Symbol.asyncDispose]()
})

function targetOf({
  endpoint,
  keys,
}: {
  endpoint: string
  keys: { p256dh: string; auth: string }
}): PushTarget {
  return { user_id: 'u', device_id: 'd', endpoint, ...keys, silent: false }
}

function push(given: Partial<PushPayload & PushOptions> = {}, from = sender): Promise<PushOutcome> {
  const { topic = options.topic, urgency = options.urgency, ttlSeconds = 60, ...changes } = given
  const to = targetOf(browser.toJSON())
  const how = { topic, urgency, ttlSeconds }
  return from.send(to, { ...payload, ...changes }, how, new AbortController().signal)
}

test('the decryption of these tests takes the example of RFC 8291', () => {
  const pair = createECDH('prime256v1')
  pair.setPrivateKey('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94', 'base64url')
  const body =
    'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_' +
    'yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN'
  const auth = Buffer.from('BTBZMqHH6r4Tts7J_aSIgg', 'base64url')
  const text = decrypt(Buffer.from(body, 'base64url'), { pair, auth }).toString()
  expect(text).toBe('When I grow up, I want to be a watermelon')
})

test('a push arrives: signed, encrypted, with topic, urgency and time to live', async () => {
  expect(await push()).toEqual({ type: 'accepted' })
  expect(browser.pushes).toMatchObject([
    { payload, headers: { topic: 'conversation-1', urgency: 'high', ttl: '60' } },
  ])
  expect(service.flaws).toEqual([])
})

test('without a topic it has none', async () => {
  const target = targetOf(browser.toJSON())
  const how = { topic: undefined, urgency: 'low', ttlSeconds: 0 } as const
  expect(await sender.send(target, payload, how, new AbortController().signal)).toEqual({ type: 'accepted' })
  expect(browser.pushes[0]?.headers).toMatchObject({ urgency: 'low', ttl: '0' })
  expect(browser.pushes[0]?.headers).not.toHaveProperty('topic')
})

test('of one topic only the newest waits', async () => {
  await push({ unread_count: 1 })
  await push({ unread_count: 9, topic: 'conversation-2' })
  await push({ unread_count: 2 })
  expect(browser.waiting.map((each) => each.payload.unread_count)).toEqual([9, 2])
})

test('pushes to one service share connections and a signature', async () => {
  for (let i = 0; i < 5; i += 1) await push()
  // A second one where the first is not free yet.
  expect(new Set(browser.pushes.map((each) => each.connection)).size).toBeLessThanOrEqual(2)
  expect(new Set(browser.pushes.map((each) => each.headers.authorization)).size).toBe(1)
})

test('what becomes larger than 3 KB is not sent', async () => {
  const room = 3_072 - (await sizeOf({ preview: '' }))
  expect(await push({ preview: 'x'.repeat(room) })).toEqual({ type: 'accepted' })
  expect(browser.pushes.at(-1)?.bytes).toBe(3_072)
  expect(await push({ preview: 'x'.repeat(room + 1) })).toEqual({ type: 'too_large' })
  expect(browser.pushes).toHaveLength(2)
})

async function sizeOf(changes: Partial<PushPayload>): Promise<number> {
  await push(changes)
  return browser.pushes.at(-1)?.bytes ?? 0
}

describe('what a push service answers', () => {
  test.each<[number, Record<string, string>, PushOutcome]>([
    [200, {}, { type: 'accepted' }],
    [201, {}, { type: 'accepted' }],
    [202, {}, { type: 'accepted' }],
    [404, {}, { type: 'gone' }],
    [410, {}, { type: 'gone' }],
    [413, {}, { type: 'too_large' }],
    [429, { 'Retry-After': '120' }, { type: 'retry', afterMs: 120_000, reason: '429' }],
    [429, {}, { type: 'retry', afterMs: undefined, reason: '429' }],
    [408, {}, { type: 'retry', afterMs: undefined, reason: '408' }],
    [500, {}, { type: 'retry', afterMs: undefined, reason: '500' }],
    [503, { 'Retry-After': '99999999' }, { type: 'retry', afterMs: 86_400_000, reason: '503' }],
    [400, {}, { type: 'rejected', status: 400, reason: 'no reason given' }],
  ])('%i %j', async (status, headers, outcome) => {
    browser.next.push(answer(status, headers))
    expect(await push()).toEqual(outcome)
    expect(browser.pushes).toHaveLength(1)
  })

  test('a reason is handed on without what is secret', async () => {
    browser.next.push(answer(403, {}, `invalid key for ${browser.endpoint}\n`))
    expect(await push()).toEqual({ type: 'rejected', status: 403, reason: 'invalid key for …' })
  })

  test('keys that a subscription is not for are rejected', async () => {
    const settings = { vapidPrivateKey: undefined, vapidSubject: undefined, publicUrl: undefined }
    const others = await loadVapidKeys(settings, async (_, make) => make())
    using other = new PushSender(new VapidSigner(others), guard)
    expect(await push({}, other)).toMatchObject({ type: 'rejected', status: 403 })
    expect(browser.pushes).toEqual([])
  })

  test('a redirect is not followed', async () => {
    const trap = service.subscribe(keys.publicKey)
    for (const status of [301, 302, 303, 307, 308]) {
      browser.next.push(answer(status, { Location: trap.endpoint }))
      expect(await push()).toMatchObject({ type: 'rejected', status })
    }
    expect(trap.pushes).toEqual([])
    expect(service.flaws).toEqual([])
  })
})

/** Reasons of a connection that ended instead of an answer. */
const CUT_OFF = /^(ECONNRESET|EPIPE|UND_ERR_SOCKET|HPE_.*)$/

describe('a push service that misbehaves', () => {
  const soon = () => new PushSender(signer, guard, 1_000)

  test('one that never answers is given up, to be tried again', async () => {
    using hasty = soon()
    browser.always = silent
    const outcome = await push({}, hasty)
    expect(outcome).toEqual({ type: 'retry', afterMs: undefined, reason: 'no answer in time' })
  })

  test('one that hangs up in the middle of its answer is tried again', async () => {
    browser.always = hangUp
    expect(await push()).toMatchObject({ type: 'retry', reason: expect.stringMatching(CUT_OFF) })
  })

  test.each([
    [201, { type: 'accepted' }],
    [500, { type: 'retry', afterMs: undefined, reason: '500' }],
  ])('an endless body behind a %i is cut off', async (status, outcome) => {
    let isCut = false
    browser.always = (response, incoming) => {
      response.on('close', () => {
        isCut = true
      })
      endless(status)(response, incoming)
    }
    expect(await push()).toEqual(outcome)
    await until('the connection to end', () => isCut)
  })

  test('a body that trickles takes nothing away from the status', async () => {
    using hasty = soon()
    browser.always = trickle
    expect(await push({}, hasty)).toEqual({ type: 'accepted' })
  })

  test('a connection that it closed while it was idle costs no push', async () => {
    let isClosed = false
    browser.next.push((response, { socket }) => {
      socket.on('close', () => {
        isClosed = true
      })
      response.writeHead(201).end(() => socket.end())
    })
    expect(await push()).toEqual({ type: 'accepted' })
    await until('both to have closed it', () => isClosed)
    expect(await push()).toEqual({ type: 'accepted' })
    expect(browser.pushes).toHaveLength(2)
  })

  test('one that closes a connection instead of answering is left to the queue, be it used again or new', async () => {
    await push()
    browser.always = (_, { socket }) => socket.destroy()
    for (const count of [2, 3]) {
      expect(await push()).toMatchObject({ type: 'retry', reason: expect.stringMatching(CUT_OFF) })
      expect(browser.pushes).toHaveLength(count)
    }
    const [, closed, fresh] = browser.pushes.map(({ connection }) => connection)
    expect(fresh).not.toBe(closed)
    browser.always = undefined
    expect(await push()).toEqual({ type: 'accepted' })
  })

  test('one that is not there, speaks no TLS, or has a certificate of somebody else is tried again', async () => {
    await using stranger = await PushService.start('127.0.0.2')
    const plain = createServer().listen(0, '127.0.0.1')
    await until('it to listen', () => plain.listening)
    const { port } = plain.address() as AddressInfo
    const gone = await PushService.start()
    const { origin } = gone
    await gone[Symbol.asyncDispose]()
    for (const at of [origin, `https://127.0.0.1:${port}`, stranger.origin]) {
      const target = targetOf({ ...browser.toJSON(), endpoint: `${at}/push/secret` })
      const outcome = await sender.send(target, payload, options, new AbortController().signal)
      expect(outcome).toMatchObject({ type: 'retry', reason: expect.stringMatching(/^[A-Z_]+$/) })
    }
    expect(stranger.connections).toBe(0)
    plain.closeAllConnections()
    await new Promise((resolve) => plain.close(resolve))
  })

  test('whoever drains gives up what is under way', async () => {
    browser.always = silent
    const draining = new AbortController()
    const outcome = sender.send(targetOf(browser.toJSON()), payload, options, draining.signal)
    await until('it to be under way', () => browser.pushes.length === 1)
    draining.abort()
    expect(await outcome).toEqual({ type: 'retry', afterMs: undefined, reason: 'given up' })
  })
})

test('an endpoint that is refused is not connected to, and not told of', async () => {
  using strict = new PushSender(signer, new EndpointGuard({ allowedHosts: [], allowPrivate: false }))
  const before = service.connections
  const outcome = await push({}, strict)
  expect(outcome).toMatchObject({ type: 'rejected', status: 0 })
  expect(JSON.stringify(outcome)).not.toMatch(SECRET)
  expect(service.connections).toBe(before)
})

describe('in a thread of its own', () => {
  test('the same is sent; what cannot be encrypted fails alone, and what is given up comes to an end', async () => {
    await using thread = new SenderThread(keys, { allowedHosts: [], allowPrivate: true })
    const target = targetOf(browser.toJSON())
    const send = (to: PushTarget, signal = new AbortController().signal) =>
      thread.send(to, payload, options, signal)
    await expect(send({ ...target, p256dh: 'AAAA' })).rejects.toThrow(/p256dh/)
    expect(await send(target)).toEqual({ type: 'accepted' })
    expect(browser.pushes.map((push) => push.payload)).toEqual([payload])
    browser.next.push(silent)
    const giving = new AbortController()
    const givenUp = send(target, giving.signal)
    await until('it to be under way', () => browser.pushes.length === 2)
    giving.abort()
    expect(await givenUp).toEqual({ type: 'retry', afterMs: undefined, reason: 'given up' })
    await using strict = new SenderThread(keys, { allowedHosts: [], allowPrivate: false })
    const outcome = await strict.send(target, payload, options, new AbortController().signal)
    expect(outcome).toMatchObject({ type: 'rejected', status: 0 })
  })
  test('what was given up before it began is not sent', async () => {
    await using thread = new SenderThread(keys, { allowedHosts: [], allowPrivate: true })
    browser.always = silent
    const outcome = await thread.send(targetOf(browser.toJSON()), payload, options, AbortSignal.abort())
    expect(outcome).toEqual({ type: 'retry', afterMs: undefined, reason: 'given up' })
    expect(browser.pushes).toEqual([])
  })
})
