import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { until } from '../support/wait.ts'

/** Handed over as text: whoever runs it may not be let into the checkout. */
const GUARD = readFileSync(new URL('guard.sh', import.meta.url), 'utf8')
/** `nobody`: a box needs no rights but its folder's. Where the tests are not root's, boxes are whoever the tests are. */
const NOBODY = 65_534

/** User and group that boxes run as, for `spawn` and `chown`. */
export const boxUser = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}

/** One run of a program in a process group of its own, which ends when it is stopped and when this process dies. */
export class Program {
  /** Where it writes; gone after it. */
  readonly folder: string
  readonly #child: ChildProcess
  #output = ''

  constructor(program: string, args: readonly string[], folder: string) {
    this.folder = folder
    this.#child = spawn('/bin/sh', ['-c', GUARD, 'guard.sh', folder, locate(program), ...args], {
      cwd: folder,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: folder, TMPDIR: folder, LANG: 'C.UTF-8' },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      ...boxUser,
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-4_000)
      })
    }
    this.#child.stdin?.on('error', () => {})
  }

  /** The process group. */
  get group(): number {
    return this.#child.pid ?? 0
  }

  /** Resolves when something listens on the port of 127.0.0.1; rejects with what the program said instead. */
  async listensOn(port: number): Promise<void> {
    await until(`port ${port}`, () => {
      if (this.#hasEnded()) throw new Error(this.#output)
      return accepts(port)
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.#output}`)
    })
  }

  async stop(): Promise<void> {
    if (this.#hasEnded()) return
    const exit = once(this.#child, 'exit')
    this.#child.stdin?.end()
    await exit
  }

  #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** The whole path of a program. Debian keeps servers where only root's PATH leads. */
export function locate(program: string): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/bin', '/usr/lib/squid']
  const folder = folders.find((each) => existsSync(join(each, program)))
  if (!folder) throw new Error(`${program} is missing: npm run hostile installs it, or apt-get does`)
  return join(folder, program)
}
