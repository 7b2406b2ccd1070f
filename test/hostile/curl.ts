import { spawn } from 'node:child_process'
import { until } from '../support/wait.ts'
import type { Box } from './box.ts'

/** A run of plain curl through a box: what it printed, as it came. */
export class Curl implements Disposable {
  readonly #child
  #output = ''
  #errors = ''
  #endedAt: number | undefined
  readonly #begun = performance.now()

  /** `path` of the box's URL. Ends by itself after `limitSeconds`; `--data @-` sends `input`. */
  constructor(box: Box, path: string, args: readonly string[], { limitSeconds = 60, input = '' } = {}) {
    const proxy = box.proxyUrl === undefined ? [] : ['--proxy', box.proxyUrl, '--suppress-connect-headers']
    const trust = box.authority === undefined ? [] : ['--cacert', box.authority]
    // As browsers do it offers compression, and does not ask for permission to send a body.
    const way = ['-sS', '-i', '-N', '--http1.1', '--compressed', '-H', 'Expect:', '-m', String(limitSeconds)]
    this.#child = spawn('curl', ['-q', ...way, ...proxy, ...trust, ...args, box.url + path], {
      env: { PATH: process.env.PATH },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#child.stdin.on('error', () => {})
    this.#child.stdin.end(input)
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString()
    })
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString()
    })
    this.#child.on('error', (error) => {
      this.#errors += error.message
    })
    this.#child.on('close', () => {
      this.#endedAt = performance.now()
    })
  }

  /** Status of the answer; `undefined` until its head is there. */
  get status(): number | undefined {
    const found = /^HTTP\/1\.[01] (\d{3})/.exec(this.#output)?.[1]
    return found === undefined || !this.#output.includes('\r\n\r\n') ? undefined : Number(found)
  }

  get body(): string {
    const at = this.#output.indexOf('\r\n\r\n')
    return at === -1 ? '' : this.#output.slice(at + 4)
  }

  /** Why curl gave up, in its words. */
  get complaint(): string {
    return this.#errors.trim()
  }

  get hasEnded(): boolean {
    return this.#endedAt !== undefined
  }

  /** How long it has run, in ms. */
  get age(): number {
    return (this.#endedAt ?? performance.now()) - this.#begun
  }

  /** Whether that text of the body comes within the time. */
  async shows(text: string, withinMs: number): Promise<boolean> {
    const done = () => this.body.includes(text) || this.hasEnded
    await until(text, done, withinMs).catch(() => {})
    return this.body.includes(text)
  }

  /** Whether it ends within the time. */
  async ends(withinMs: number): Promise<boolean> {
    await until('the end', () => this.hasEnded, withinMs).catch(() => {})
    return this.hasEnded
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL')
  }
}
