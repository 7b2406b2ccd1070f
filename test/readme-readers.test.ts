import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { GatewayProcess } from './support/gateway-process.ts'
import { InterferingProxy } from './support/interfering-proxy.ts'
import { type Event, Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { until } from './support/wait.ts'

const run = promisify(execFile)
const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const SECTION = README.split('\n## ').find((each) => each.startsWith('Tiny readers')) ?? ''
const [SIGN_IN = '', SHELL = '', PYTHON = ''] = [...SECTION.matchAll(/```(?:sh|python)\n(.*?)```/gs)].map(
  ([, text = '']) => text,
)
const LAST_LINE = /\n[^\n]*\n$/

/** What could be taken for something else, by a shell, by sed, by a reader of streams or of JSON. */
const ODD_TEXTS = [
  '"quotes" and \'quotes\'',
  'back\\slash \\n \\\\ \\c %s $HOME `id` $(id) *',
  'line\nline\r\n\nid: x-1\ndata: {"id":1}\n\nEND\n$slice\n.',
  ' blanks \t around ',
  '"cursor":"x"',
  '{"cursor":"x-1","events":[],"has_more":false}],"has_more":true}',
  '👩‍👩‍👧 ünï\u2028\u2029\u0085\u007f',
  '-n',
]
const COUNT = 300

let postgres: TestPostgres
let gateway: GatewayProcess
let url: string

beforeAll(async () => {
  postgres = await startPostgres()
  await startGateway()
})
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
})

async function startGateway(): Promise<void> {
  gateway = new GatewayProcess({ DATABASE_URL: postgres.url })
  url = await gateway.url()
}

/** A reader in a folder of its own, with its sign-in; it and what it left behind are gone when it is disposed of. */
class Reader implements AsyncDisposable {
  readonly folder: string
  readonly #command: readonly string[]
  readonly #groups: number[] = []
  #child: ChildProcess | undefined

  constructor(folder: string, command: readonly string[]) {
    this.folder = folder
    this.#command = command
  }

  start(base: string): void {
    const [program = '', ...args] = this.#command
    const out = openSync(join(this.folder, 'out'), 'a')
    this.#child = spawn(program, args, {
      cwd: this.folder,
      env: { PATH: process.env.PATH, LW: base },
      stdio: ['ignore', out, openSync(join(this.folder, 'complaints'), 'a')],
      // A process group of its own, so that nothing of it stays.
      detached: true,
    })
    this.#groups.push(this.#child.pid ?? 0)
  }

  /** Like a power cut: what it started goes on a little longer. */
  async kill(): Promise<void> {
    const exit = this.#child && once(this.#child, 'exit')
    this.#child?.kill('SIGKILL')
    await exit
  }

  /** What it printed: each whole line is an event. */
  events(): Event[] {
    const lines = readFileSync(join(this.folder, 'out'), 'utf8').split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line) as Event)
  }

  complaints(): string {
    return readFileSync(join(this.folder, 'complaints'), 'utf8')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    for (const group of this.#groups) {
      try {
        process.kill(-group, 'SIGKILL')
      } catch {
        // It is empty already.
      }
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Ben as the README signs him in, and a reader of his that is not started yet. */
async function prepare(base: string, file: string, program: string, command: readonly string[]) {
  const ben = await Person.signUp(url)
  const folder = await mkdtemp(join(tmpdir(), 'longwave-reader-'))
  const signIn = SIGN_IN.replace('http://127.0.0.1:8080', url).replace(
    '{"username":"ben","password":"battery staple"',
    `{"username":"${ben.session.user.username}","password":"correct horse"`,
  )
  await run('dash', ['-c', signIn], { cwd: folder })
  await writeFile(join(folder, file), program.replace('http://127.0.0.1:8080', base))
  return { ben, reader: new Reader(folder, [...command, file]) }
}

async function sendMany(anna: Person, conversation: string): Promise<void> {
  for (let from = 0; from < COUNT; from += 100) {
    const messages = Array.from({ length: 100 }, (_, index) => ({
      conversation_id: conversation,
      text: `${from + index} ${ODD_TEXTS[index % ODD_TEXTS.length]}`,
      client_id: `${conversation}-${from + index}`,
    }))
    await anna.call('POST', '/v1/messages', { messages })
  }
}

/** What is left when events that were printed again, right behind a kill, are taken away; at most `repeated` of them. */
function withoutRepeats(events: Event[], repeated: number): Event[] {
  const kept = events.filter(({ id }, index) => events.findIndex((event) => event.id === id) === index)
  expect(events.length - kept.length).toBeLessThanOrEqual(repeated)
  return kept
}

/** What of an event stays the same, whenever it is read. */
const essence = ({ id, type, message }: Event) => ({ id, type, seq: message?.seq, text: message?.text })

test('they are as short as they say', () => {
  expect(SHELL.trim().split('\n').length).toBeLessThanOrEqual(15)
  expect(PYTHON.trim().split('\n').length).toBeLessThanOrEqual(30)
})

test.each([
  { name: 'the shell one', file: 'reader.sh', text: SHELL, command: ['dash'], repeatedPerKill: 1 },
  {
    name: 'the Python one',
    file: 'reader.py',
    text: PYTHON,
    command: ['python3', '-u'],
    repeatedPerKill: 100,
  },
])(
  '$name hands out every event once and in order, whatever is killed and whatever is in between',
  { timeout: 150_000 },
  async ({ file, text, command, repeatedPerKill }) => {
    await using proxy = await InterferingProxy.before(url)
    const { ben, reader: made } = await prepare(proxy.url, file, text, command)
    await using reader = made
    const anna = await Person.signUp(url)
    const conversation = await anna.direct(ben)
    await sendMany(anna, conversation)
    /** All that is in the inbox, once the reader has printed the last of it. */
    const caughtUp = async () => {
      const { events } = await ben.at(url).readAll()
      const last = events.at(-1)?.id
      const isThere = () => reader.events().some(({ id }) => id === last)
      await until('the last event', isThere, 60_000).catch((error: Error) => {
        throw new Error(`${error.message}\n${reader.complaints()}`)
      })
      return events
    }

    reader.start(proxy.url)
    await until('some', () => reader.events().length >= 20, 60_000)
    await reader.kill()
    reader.start(proxy.url)
    await caughtUp()
    for (const odd of ODD_TEXTS) await anna.send(conversation, odd)
    await gateway.kill()
    await startGateway()
    proxy.repoint(url)
    await caughtUp()
    await reader.kill()
    for (const odd of ODD_TEXTS) await anna.at(url).send(conversation, `again ${odd}`)
    reader.start(proxy.url)
    let expected = await caughtUp()
    while (!proxy.hasPlayedAll) {
      await anna.at(url).send(conversation, 'one more')
      expected = await caughtUp()
    }
    const heardOnce = withoutRepeats(reader.events(), 2 * repeatedPerKill)
    expect(heardOnce.map(essence)).toEqual(expected.map(essence))
  },
)

test('the Python one sends: once, however often the answer is lost, and says why if it cannot', async () => {
  const anna = await Person.signUp(url)
  await using proxy = await InterferingProxy.before(url)
  const { ben, reader } = await prepare(
    proxy.url,
    'sender.py',
    PYTHON.replace(LAST_LINE, '\nfor text in sys.argv[2:]: print(json.dumps(send(sys.argv[1], text)))\n'),
    ['python3'],
  )
  await using _ = reader
  const conversation = await anna.direct(ben)
  const send = async (to: string, texts: readonly string[]) => {
    const args = [join(reader.folder, 'sender.py'), to, ...texts]
    const { stdout } = await run('python3', args, { cwd: reader.folder, timeout: 60_000 })
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  }
  expect((await send(conversation, ODD_TEXTS)).map(({ text }) => text)).toEqual(ODD_TEXTS)
  const { events } = await anna.readAll()
  expect(events.flatMap(({ message }) => message?.text ?? [])).toEqual(ODD_TEXTS)
  expect((await send(anna.id, ['hello'])).map(({ code }) => code)).toEqual(['not_found'])
}, 150_000)
