import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EndpointGuard, EndpointRefused, type EndpointRules } from '../src/push/endpoint-guard.ts'
import type { PushOutcome } from '../src/push/push.ts'
import { PushSender } from '../src/push/send.ts'
import { loadVapidKeys, VapidSigner } from '../src/push/vapid.ts'
import { DnsServer } from './support/dns-server.ts'
import { PushService } from './support/push-service.ts'

const PUBLIC = '203.0.114.7'
const strict: EndpointRules = { allowedHosts: [], allowPrivate: false }

let dns: DnsServer

beforeAll(async () => {
  dns = await DnsServer.start({
    'push.example.org': () => [PUBLIC],
    'both.example.org': () => [PUBLIC, '2606:4700::1'],
    'one-bad.example.org': () => [PUBLIC, '10.0.0.1'],
    'bad-six.example.org': () => [PUBLIC, 'fd00::1'],
    'metadata.example.org': () => ['169.254.169.254'],
    'turning.example.org': (question) => [question === 1 ? PUBLIC : '127.0.0.1'],
    'local.example.org': () => ['127.0.0.1'],
    'empty.example.org': () => [],
    'hanging.example.org': () => 'silence',
  })
})
afterAll(() => dns?.[Symbol.asyncDispose]())

const guarding = (rules: Partial<EndpointRules> = {}) =>
  new EndpointGuard({ ...strict, ...rules }, dns.resolver())

describe('refused as it stands', () => {
  test.each([
    'http://push.example.org/x',
    'ftp://push.example.org/x',
    'push.example.org/x',
    '',
    'https://',
    'https://anna@push.example.org/x',
    'https://:secret@push.example.org/x',
    'https://push.example.org:8443/x',
    'https://push.example.org:22/x',
    'https://localhost/x',
    'https://LOCALHOST./x',
    'https://a.localhost/x',
    'https://127.0.0.1/x',
    'https://127.1/x',
    'https://2130706433/x',
    'https://0x7f000001/x',
    'https://0177.0.0.1/x',
    'https://127.0.0.1./x',
    'https://１２７.0.0.1/x',
    'https://0/x',
    'https://0.0.0.0/x',
    'https://10.1.2.3/x',
    'https://100.64.0.1/x',
    'https://169.254.169.254/latest/meta-data',
    'https://172.16.0.1/x',
    'https://192.168.0.1/x',
    'https://192.0.0.8/x',
    'https://198.18.0.1/x',
    'https://224.0.0.1/x',
    'https://255.255.255.255/x',
    'https://[::]/x',
    'https://[::1]/x',
    'https://[::127.0.0.1]/x',
    'https://[::ffff:127.0.0.1]/x',
    'https://[::ffff:8.8.8.8]/x',
    'https://[64:ff9b::127.0.0.1]/x',
    'https://[64:ff9b:1::7f00:1]/x',
    'https://[2002:7f00:1::]/x',
    'https://[2001:0:7f00:1::]/x',
    'https://[fe80::1]/x',
    'https://[fec0::1]/x',
    'https://[fd00::1]/x',
    'https://[ff02::1]/x',
    'https://[4000::1]/x',
  ])('%s', async (endpoint) => {
    expect(() => guarding().parse(endpoint)).toThrow(EndpointRefused)
    await expect(guarding().check(endpoint)).rejects.toThrow(EndpointRefused)
  })
})

test('an address of the public Internet is taken, and written as browsers write it', async () => {
  expect((await guarding().check('HTTPS://Push.Example.org:443/a?b')).href).toBe(
    'https://push.example.org/a?b',
  )
  await guarding().check('https://both.example.org/x')
  await guarding().check(`https://${PUBLIC}/x`)
  await guarding().check('https://[2606:4700::1]/x')
})

test.each(['one-bad', 'bad-six', 'metadata', 'local', 'empty', 'unknown'])(
  'a name of which any address is not public is refused: %s',
  async (name) => {
    await expect(guarding().check(`https://${name}.example.org/x`)).rejects.toThrow(EndpointRefused)
  },
)

test('a name server that hangs is not waited for for long, and is no refusal', async () => {
  const resolver = dns.resolver({ timeout: 100, tries: 1 })
  const refusal = new EndpointGuard(strict, resolver).check('https://hanging.example.org/x')
  await expect(refusal).rejects.toMatchObject({ code: 'ETIMEOUT' })
  const endless = dns.resolver({ timeout: 60_000, tries: 1 })
  const given = new EndpointGuard(strict, endless).check('https://hanging.example.org/x')
  await expect(given).rejects.toMatchObject({ code: 'ETIMEOUT' })
  endless.cancel()
})

test('PUSH_ALLOWED_HOSTS leaves only what it names, and opens no private address', async () => {
  const guard = guarding({ allowedHosts: ['push.example.org', '*.example.net', 'own.example.org:8443'] })
  guard.parse('https://push.example.org/x')
  guard.parse('https://a.b.example.net/x')
  guard.parse('https://own.example.org:8443/x')
  const refused = [
    'https://example.org/x',
    'https://a.push.example.org/x',
    'https://example.net/x',
    'https://evilexample.net/x',
    'https://push.example.org.evil.test/x',
    'https://push.example.org:8443/x',
    'https://own.example.org/x',
  ]
  for (const endpoint of refused) expect(() => guard.parse(endpoint)).toThrow(EndpointRefused)
  const local = guarding({ allowedHosts: ['*.example.org'] })
  await expect(local.check('https://local.example.org/x')).rejects.toThrow(EndpointRefused)
})

test('PUSH_ALLOW_PRIVATE lets private addresses and any port through, and nothing that is not https', async () => {
  const guard = guarding({ allowPrivate: true })
  await guard.check('https://127.0.0.1:8443/x')
  await guard.check('https://local.example.org:8443/x')
  await expect(guard.check('http://127.0.0.1/x')).rejects.toThrow(EndpointRefused)
})

describe('with PUSH_ALLOW_PRIVATE', () => {
  const guard = () => guarding({ allowPrivate: true })
  const resolved = (name: string) => promisify(guard().lookup)(name, { all: true })

  test.each(['localhost', 'push.localhost'])(
    '%s is this machine, whatever name servers know',
    async (name) => {
      await guard().check(`https://${name}:8443/x`)
      expect(await resolved(name)).toEqual([
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 },
      ])
    },
  )

  const hosts = readFileSync('/etc/hosts', 'utf8')
  const named = /^(\d+\.\S+)\s+(?!localhost)(\S+)/m.exec(hosts)
  test.runIf(named)('/etc/hosts counts where name servers know nothing', async () => {
    const [, address, name = ''] = named ?? []
    await guard().check(`https://${name}/x`)
    expect(await resolved(name)).toContainEqual({ address, family: 4 })
    await expect(guarding().check(`https://${name}/x`)).rejects.toThrow(EndpointRefused)
  })

  test('a name that nobody knows is refused', async () => {
    await expect(guard().check('https://unknown.invalid/x')).rejects.toThrow(EndpointRefused)
  })
})

describe('when sending', () => {
  let service: PushService
  let signer: VapidSigner
  let port: string

  beforeAll(async () => {
    service = await PushService.start()
    port = new URL(service.origin).port
    const settings = { vapidPrivateKey: undefined, vapidSubject: undefined, publicUrl: undefined }
    signer = new VapidSigner(await loadVapidKeys(settings, async (_, make) => make()))
  })
  afterAll(() => service?.[Symbol.asyncDispose]())
  beforeEach(() => dns.asked.clear())

  async function send(rules: EndpointRules, endpoint: string): Promise<PushOutcome> {
    using sender = new PushSender(signer, new EndpointGuard(rules, dns.resolver({ timeout: 200, tries: 1 })))
    const { keys } = service.subscribe('').toJSON()
    const payload = {
      type: 'announcement' as const,
      conversation_id: null,
      title: '',
      sender: null,
      preview: null,
      unread_count: 0,
      mention_count: 0,
    }
    return await sender.send(
      { user_id: 'u', device_id: 'd', endpoint, ...keys, silent: false },
      payload,
      { topic: undefined, urgency: 'normal', ttlSeconds: 60 },
      new AbortController().signal,
    )
  }

  test('a name that turned private meanwhile is refused, and nothing connects', async () => {
    const endpoint = `https://turning.example.org:${port}/x`
    const rules = { allowedHosts: [`turning.example.org:${port}`], allowPrivate: false }
    await guarding(rules).check(endpoint)
    expect(await send(rules, endpoint)).toEqual({
      type: 'rejected',
      status: 0,
      reason: 'the endpoint is not at a public address',
    })
    expect(service.connections).toBe(0)
  })

  test('the address that was checked is the one connected to: the name is asked for once', async () => {
    const outcome = await send({ ...strict, allowPrivate: true }, `https://local.example.org:${port}/x`)
    // It got as far as the certificate, which has to be that of the name.
    expect(outcome).toMatchObject({ type: 'retry', reason: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    expect(dns.asked.get('local.example.org')).toBe(1)
  })

  test('localhost is connected to where that is allowed', async () => {
    const before = service.connections
    expect(await send({ ...strict, allowPrivate: true }, `https://localhost:${port}/x`)).toEqual({
      type: 'gone',
    })
    expect(service.connections).toBe(before + 1)
  })

  test.each(['hanging', 'unknown'])('a name that cannot be resolved is tried again: %s', async (name) => {
    expect(await send(strict, `https://${name}.example.org/x`)).toMatchObject({ type: 'retry' })
  })
})
