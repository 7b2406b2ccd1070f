import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { until } from './wait.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** Four that migrate at once on a busy machine. */
const STARTED_WITHIN_MS = 60_000

/** A gateway in a process of its own, which can be killed. */
export class GatewayProcess implements AsyncDisposable {
  readonly child: ChildProcess
  output = ''
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>

  constructor(env: Record<string, string>, script = MAIN) {
    this.child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script], {
      env: { PATH: process.env.PATH, PORT: '0', RATE_LIMITS: 'off', ...env },
      // By the channel a script of the tests is told when to die; it dies too when we do.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString()
      })
    }
    this.exited = new Promise((resolve) =>
      this.child.once('exit', (code, signal) => resolve({ code, signal })),
    )
  }

  /** Where it listens, from its first line. */
  async url(): Promise<string> {
    const gone = this.exited.then(({ code }) => {
      throw new Error(`the gateway ended with ${code}: ${this.output}`)
    })
    const address = () => /listening on (https?:\/\/[^"\s]+)/.exec(this.output)?.[1]
    const line = until('the first line', address, STARTED_WITHIN_MS)
    return Promise.race([line, gone])
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL') {
    this.child.kill(signal)
    return this.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill()
  }
}
