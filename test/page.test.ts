import { request } from 'node:http'
import { expect, test } from 'vitest'
import { MAX_ANSWER_BYTES } from '../src/protocol/constants.ts'
import { useGateway } from './support/suite.ts'

const { gateway } = useGateway()

test.each(['/', '/page.js', '/service-worker.js', '/page.css', '/client.js'])(
  '%s comes through scanners that stall on large answers, small on the wire and once',
  async (path) => {
    const answer = await fetch(gateway.url + path)
    expect(answer.status).toBe(200)
    const { byteLength } = await answer.arrayBuffer()
    expect(byteLength).toBeGreaterThan(1_000)
    expect(byteLength).toBeLessThanOrEqual(MAX_ANSWER_BYTES)
    expect(Number(answer.headers.get('content-length'))).toBeLessThan(byteLength / 2)
    expect(answer.headers.get('content-encoding')).toBe('gzip')
    expect(answer.headers.get('vary')).toBe('Accept-Encoding')
    const etag = answer.headers.get('etag') ?? ''
    expect(await ask(path, { 'if-none-match': etag })).toEqual([304, undefined])
    expect(await ask(path, { 'if-none-match': '"another"' })).toEqual([200, undefined])
  },
)

/** Status and encoding of what who does not ask for gzip, or asks for it like this, is answered. */
function ask(path: string, headers: Record<string, string>): Promise<(string | number | undefined)[]> {
  return new Promise((resolve, reject) => {
    const sent = request(gateway.url + path, { headers }, (answer) => {
      answer.resume()
      resolve([answer.statusCode, answer.headers['content-encoding']])
    })
    sent.on('error', reject).end()
  })
}

test.each([
  ['gzip', 'gzip'],
  ['br, gzip;q=0.5', 'gzip'],
  ['gzip;q=0', undefined],
  ['br', undefined],
])('who accepts %j gets %s', async (accepted, encoding) => {
  expect(await ask('/page.js', { 'accept-encoding': accepted })).toEqual([200, encoding])
})

test('the page takes the SDK from where other pages take it', async () => {
  const page = await (await fetch(`${gateway.url}/page.js`)).text()
  expect(page).toMatch(/import\{[^}]*\}from"\/client\.js"/)
  expect(page).not.toContain('EventSource')
  expect(await (await fetch(gateway.url)).text()).toContain('<link rel="modulepreload" href="/client.js">')
})
