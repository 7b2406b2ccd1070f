import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { beforeAll, expect, test } from 'vitest'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../', import.meta.url))
const LIMIT_BYTES = 12 * 1024

const { gateway } = useGateway()

beforeAll(async () => {
  await run('npm', ['run', '-s', 'build:client'], { cwd: ROOT })
})

test('GET /client.js is one module of at most 12 KB gzipped, for pages of any origin', async () => {
  const answer = await fetch(`${gateway.url}/client.js`, { headers: { origin: 'https://shop.example' } })
  const text = await answer.text()
  expect(answer.headers.get('content-type')).toMatch(/^text\/javascript/)
  expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  expect(text).not.toMatch(/\bimport\b[^(]*from/)
  expect(gzipSync(text).length).toBeLessThanOrEqual(LIMIT_BYTES)
  expect(text).toBe(await readFile(join(ROOT, 'dist/client.js'), 'utf8'))
})

test('what the client loads only for push is a module beside it, in the package too', async () => {
  const [client, push] = await Promise.all(
    ['/client.js', '/client-push.js'].map((path) => fetch(gateway.url + path)),
  )
  expect(await client?.text()).toContain('import("./client-push.js")')
  expect(push?.headers.get('access-control-allow-origin')).toBe('*')
  expect(await push?.text()).toBe(await readFile(join(ROOT, 'dist/client-push.js'), 'utf8'))
})

const PROGRAM = `
import { connect } from 'longwave/client'
const [url, token, conversation] = process.argv.slice(2)
const chat = connect({ url, getToken: () => token, after: '0' })
chat.on('event', ({ type, message }) => {
  if (type !== 'message.created') return
  console.log(message.text)
  chat.close()
})
await chat.send(conversation, 'from a program')
`

test('a program imports longwave/client, sends, reads, and ends when it closes', async () => {
  const anna = await Person.signUp(gateway.url)
  const conversation = await anna.direct(await Person.signUp(gateway.url))
  const folder = await mkdtemp(join(ROOT, 'dist', 'program-'))
  try {
    await writeFile(join(folder, 'program.mjs'), PROGRAM)
    const { stdout } = await run(
      process.execPath,
      [join(folder, 'program.mjs'), gateway.url, anna.session.access_token, conversation],
      { timeout: 20_000 },
    )
    expect(stdout.trim()).toBe('from a program')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('its types are whole', async () => {
  const folder = await mkdtemp(join(ROOT, 'dist', 'types-'))
  const program = `import { connect, type InboxEvent, type PushError, SendError } from 'longwave/client'
const chat = connect({ url: '', cookie: true })
chat.on('event', (event: InboxEvent) => event.id.toFixed())
chat.on('passing', ({ id, type, at }) => [id === null, type.length, at.length])
chat.on('status', ({ transport, lagMs }) => [transport === 'sse-slices', lagMs.toFixed()])
chat.enablePush({ serviceWorker: '/own.js' }).catch(({ code }: PushError) => code === 'no_vapid_key')
// @ts-expect-error: there is no such event
chat.on('events', () => {})
export const message: Promise<{ seq: number }> = chat.send('id', 'text')
export const error: typeof SendError = SendError
`
  try {
    await writeFile(join(folder, 'program.mts'), program)
    const tsc = join(ROOT, 'node_modules/.bin/tsc')
    const options = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--types',
      '',
      '--ignoreConfig',
    ]
    const { stdout } = await run(tsc, [...options, join(folder, 'program.mts')], { cwd: ROOT })
    expect(stdout).toBe('')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
