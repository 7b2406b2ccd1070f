import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { freePort } from './free-port.ts'
import { until } from './wait.ts'

/** A real nats-server process. */
export class NatsServer implements AsyncDisposable {
  readonly port: number
  readonly #folder: string
  #child: ChildProcess | undefined

  private constructor(port: number, folder: string) {
    this.port = port
    this.#folder = folder
  }

  /** `settings` is put into its configuration file: authorization, TLS, cluster. Resolves when it accepts clients. */
  static async start(settings = '', port?: number): Promise<NatsServer> {
    const folder = await mkdtemp(join(tmpdir(), 'longwave-nats-'))
    const server = new NatsServer(port ?? (await freePort()), folder)
    await writeFile(join(folder, 'nats.conf'), `listen: 127.0.0.1:${server.port}\n${settings}\n`)
    await server.restart()
    return server
  }

  /** Where clients reach it; `login` is `user:password` or a token. */
  url(login?: string): string {
    return `nats://${login === undefined ? '' : `${login}@`}127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  async restart(): Promise<void> {
    const child = spawn(locate('nats-server'), ['-c', join(this.#folder, 'nats.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let log = ''
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString()
    })
    this.#child = child
    await until('nats-server', () => {
      if (child.exitCode !== null) throw new Error(log)
      return log.includes('Server is ready')
    })
  }

  /** SIGSTOP and SIGCONT to make it silent for a while. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal)
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Debian puts it where only root's PATH leads. */
function locate(program: string): string {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const folder = folders.find((each) => existsSync(join(each, program)))
  if (!folder) throw new Error(`${program} is missing: apt-get install ${program}`)
  return join(folder, program)
}
