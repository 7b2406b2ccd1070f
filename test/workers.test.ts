import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { get } from 'node:https'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { makeDataDir } from './support/embedded-postgres.ts'
import { GatewayProcess } from './support/gateway-process.ts'
import { NatsServer } from './support/nats-server.ts'
import { call } from './support/person.ts'
import { useGateway } from './support/suite.ts'
import { medianLag, startTwoWorkers } from './support/workers.ts'

const { postgres, gateway: single } = useGateway()

async function statusOverHttp2(url: string, ca: Buffer): Promise<number> {
  const session = connect(url, { ca })
  const [headers] = await once(session.request({ ':path': '/healthz' }), 'response')
  session.destroy()
  return headers[':status']
}

async function statusOverHttp1(url: string, ca: Buffer): Promise<number> {
  const [response] = await once(get(`${url}/healthz`, { ca, agent: false }), 'response')
  response.resume()
  return response.statusCode
}

test('two workers on one port are one gateway: what one commits is on the other’s streams at once', async () => {
  const { gateway, url } = await startTwoWorkers({ DATA_DIR: await makeDataDir() })
  expect(gateway.output.split('\n')[0]).toContain('with 2 workers')
  expect(await medianLag(url)).toBeLessThan(200)
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => call<{ endpoints: string[] }>(url, 'GET', '/v1/gateway')),
  )
  expect(answers.map(({ body }) => body.endpoints)).toEqual(answers.map(() => [url]))
})

test('with NATS_URL workers tell each other over NATS', async () => {
  await using nats = await NatsServer.start()
  const { url } = await startTwoWorkers({ DATABASE_URL: postgres.url, NATS_URL: nats.url() })
  expect(await medianLag(url)).toBeLessThan(200)
})

test('with TLS they share the port too, HTTP/2 and 1.1', async () => {
  const file = (name: string) => fileURLToPath(new URL(`./support/${name}`, import.meta.url))
  const { gateway, url } = await startTwoWorkers({
    DATABASE_URL: postgres.url,
    TLS_CERT: file('localhost.crt'),
    TLS_KEY: file('localhost.key'),
  })
  expect(url).toMatch(/^https:/)
  const ca = readFileSync(file('localhost.crt'))
  // Four connections each: both workers get some.
  const answers = Array.from({ length: 4 }, () => [statusOverHttp2(url, ca), statusOverHttp1(url, ca)]).flat()
  expect(await Promise.all(answers)).toEqual(Array.from({ length: 8 }, () => 200))
  expect((await gateway.kill('SIGINT')).code).toBe(0)
})

test.each([
  ['a wrong number of them', { WORKERS: '0' }, /^longwave: WORKERS is "0" but must be a whole number .*\n$/],
  ['a port that is taken', {}, /^longwave: Cannot listen on 127\.0\.0\.1:\d+: the port is taken.*\n$/],
  [
    'no Postgres',
    { DATABASE_URL: 'postgres://127.0.0.1:1/x' },
    /^longwave: The database cannot be used.*\n$/,
  ],
])('%s stops the start with one line', async (_, env, line) => {
  const PORT = new URL(single.url).port
  const gateway = new GatewayProcess({ WORKERS: '2', DATABASE_URL: postgres.url, PORT, ...env })
  onTestFinished(() => gateway[Symbol.asyncDispose]())
  expect((await gateway.exited).code).toBe(1)
  expect(gateway.output).toMatch(line)
})
