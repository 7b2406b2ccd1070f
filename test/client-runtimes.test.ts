import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { transform } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { connect as Connect, ConnectOptions } from '../src/client/client.ts'
import { GatewayProcess } from './support/gateway-process.ts'
import { Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { runInReactNative } from './support/react-native.ts'
import { TcpProxy } from './support/tcp-proxy.ts'
import { until } from './support/wait.ts'

const PROGRAM = fileURLToPath(new URL('support/client-program.mjs', import.meta.url))

let postgres: TestPostgres
let gateway: GatewayProcess
let proxy: TcpProxy
/** Stays the same over a restart of the gateway. */
let url: string

beforeAll(async () => {
  postgres = await startPostgres()
  gateway = new GatewayProcess({ DATABASE_URL: postgres.url })
  proxy = await TcpProxy.before(await gateway.url())
  url = `http://127.0.0.1:${proxy.port}`
})
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]()
  await gateway?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

/** The client as pages and programs get it. */
async function clientText(): Promise<string> {
  return (await fetch(`${url}/client.js`)).text()
}

async function restartGateway(): Promise<void> {
  await gateway.kill()
  gateway = new GatewayProcess({ DATABASE_URL: postgres.url })
  proxy.repoint(await gateway.url())
}

async function pair() {
  const [anna, ben] = [await Person.signUp(url), await Person.signUp(url)]
  return { anna, ben, conversation: await anna.direct(ben) }
}

type Said = { status?: string; passing?: string; event?: number; text?: string; sent?: string }

const RUNTIMES = [
  { name: 'node', args: [] },
  { name: 'deno', args: ['run', '--quiet', '--no-config', '--allow-net', '--allow-read'] },
  { name: 'bun', args: [] },
]

describe.each(RUNTIMES)('$name', ({ name, args }) => {
  const isThere = spawnSync(name, ['--version']).status === 0

  test.skipIf(!isThere)(
    'reads, sends, comes through a restart and a stale token, and ends when it is closed',
    async () => {
      const { anna, ben, conversation } = await pair()
      await using folder = await mkdtempDisposable(join(tmpdir(), 'longwave-runtime-'))
      const module = join(folder.path, 'client.mjs')
      await writeFile(module, await clientText())
      const script = [PROGRAM, pathToFileURL(module).href, url, ben.session.refresh_token, conversation]
      const program = spawn(name, [...args, ...script])
      const exit = once(program, 'exit')
      let output = ''
      for (const stream of [program.stdout, program.stderr])
        stream.on('data', (chunk: Buffer) => {
          output += chunk.toString()
        })
      const said = () =>
        output
          .split('\n')
          .slice(0, -1)
          .filter((line) => line.startsWith('{'))
          .map((line): Said => JSON.parse(line))
      const hears = (what: string, probe: (each: Said) => unknown) =>
        until(what, () => said().some(probe), 30_000).catch((error: Error) => {
          throw new Error(`${error.message}\n${output}`)
        })
      try {
        await hears('a stream', ({ status }) => status === 'live sse')
        await anna.call('POST', `/v1/conversations/${conversation}/typing`)
        await hears('typing', ({ passing }) => passing === 'typing')
        await anna.send(conversation, 'send hello 👋')
        await hears('its own', ({ sent }) => sent === 'hello 👋')
        await restartGateway()
        await anna.send(conversation, 'send again')
        await hears('its second', ({ sent }) => sent === 'again')
        await anna.send(conversation, 'close')
        expect(await exit).toEqual([0, null])
      } finally {
        program.kill('SIGKILL')
      }
      const ids = said().flatMap(({ event }) => event ?? [])
      expect(ids).toEqual(ids.map((_, index) => index + 1))
      const texts = said().flatMap(({ event, text }) => (event && text ? [text] : []))
      expect(texts).toEqual(['send hello 👋', 'hello 👋', 'send again', 'again', 'close'])
    },
    120_000,
  )
})

test('what React Native offers is enough: it reads by long-polls, sends, and comes through a restart', async () => {
  const { anna, ben, conversation } = await pair()
  const { code } = await transform(await clientText(), { format: 'iife', globalName: 'longwave' })
  const globals = runInReactNative(code)
  const { connect } = globals.longwave as { connect: typeof Connect }
  const [texts, ids, passing, statuses]: [string[], number[], string[], string[]] = [[], [], [], []]
  const getToken: ConnectOptions['getToken'] = (options) =>
    options?.refresh ? ben.session.access_token : 'stale'
  const chat = connect({ url, getToken, after: '0' })
  try {
    chat.on('event', ({ id, message }) => {
      ids.push(id)
      if (message) texts.push((message as { text: string }).text)
    })
    chat.on('passing', ({ type }) => passing.push(type))
    chat.on('status', ({ state, transport }) => statuses.push(`${state} ${transport}`))
    await until('long-polls', () => statuses.includes('live long-poll'), 30_000)
    expect((await chat.send(conversation, 'héllo 👋')).text).toBe('héllo 👋')
    const isTyping = async () => {
      // What passes between two polls is missed.
      await anna.call('POST', `/v1/conversations/${conversation}/typing`)
      return passing.includes('typing')
    }
    await until('typing', isTyping, 30_000)
    await restartGateway()
    await anna.send(conversation, 'one')
    expect((await chat.send(conversation, 'two')).seq).toBe(3)
    await until('all', () => texts.length === 3, 30_000)
  } finally {
    chat.close()
  }
  expect(texts).toEqual(['héllo 👋', 'one', 'two'])
  expect(ids).toEqual(ids.map((_, index) => index + 1))
}, 120_000)
