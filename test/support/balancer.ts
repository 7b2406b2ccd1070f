import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chmod, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { until } from './wait.ts'

export type Kind = 'nginx' | 'haproxy'
export type Way = 'round robin' | 'least connections' | 'hash'

/** The line of each way, as it stands in the configuration; all but the first behind a `# `. */
const LINES: Record<Kind, Record<Way, string>> = {
  nginx: {
    'round robin': '',
    'least connections': 'least_conn;',
    hash: 'hash $http_authorization$cookie_longwave_session consistent;',
  },
  haproxy: {
    'round robin': 'balance roundrobin',
    'least connections': 'balance leastconn',
    hash: 'balance hash req.hdr(Authorization)',
  },
}

const FILES: Record<Kind, string> = { nginx: 'nginx.conf', haproxy: 'haproxy.cfg' }

/** A real load balancer on a free port, with the configuration of `deploy/` but for addresses and paths. */
export class Balancer implements AsyncDisposable {
  readonly url: string
  readonly #kind: Kind
  readonly #child: ChildProcess
  readonly #folder: string

  private constructor(kind: Kind, url: string, child: ChildProcess, folder: string) {
    this.#kind = kind
    this.url = url
    this.#child = child
    this.#folder = folder
  }

  /** Resolves when it serves. `nodes` are the URLs of three gateways. */
  static async start(kind: Kind, way: Way, nodes: readonly string[]): Promise<Balancer> {
    await using onFailure = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'longwave-balancer-'))
    // nginx' workers are somebody else, and put large bodies there.
    await chmod(folder, 0o755)
    onFailure.defer(() => rm(folder, { recursive: true, force: true }))
    const port = await freePort()
    const file = join(folder, FILES[kind])
    await writeFile(file, configure(kind, way, { nodes, port, folder }))
    const log = await open(logOf(folder), 'a')
    const child = spawn(kind, argumentsOf(kind, file, folder), {
      stdio: ['ignore', log.fd, log.fd],
      // Debian keeps both where only root looks.
      env: { PATH: `${process.env.PATH}:/usr/sbin` },
    })
    await Promise.all([once(child, 'spawn'), log.close()])
    const balancer = onFailure.use(new Balancer(kind, `http://127.0.0.1:${port}`, child, folder))
    await until('the balancer to serve', async () => {
      if (child.exitCode !== null) throw new Error(readFileSync(logOf(folder), 'utf8'))
      return (await fetch(`${balancer.url}/healthz`).catch(() => undefined))?.ok
    })
    onFailure.move()
    return balancer
  }

  /** The nodes (host:port) that have answered requests to a path, one entry each. */
  answerers(path: string): string[] {
    const lines = readFileSync(logOf(this.#folder), 'utf8').split('\n')
    return lines.filter((line) => line.includes(` ${path} `)).map((line) => line.split(' ')[1] ?? '')
  }

  /** Seconds of silence after which it gives up an event stream or a long-poll. */
  readLimits(): number[] {
    const nginx = /location = \/v1\/events \{[^}]*proxy_read_timeout (\d+)s/s
    const patterns = this.#kind === 'nginx' ? [nginx] : [/timeout server (\d+)s/, /timeout client (\d+)s/]
    const text = readFileSync(join(this.#folder, FILES[this.#kind]), 'utf8')
    return patterns.map((pattern) => Number(pattern.exec(text)?.[1]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await exit
    }
    await rm(this.#folder, { recursive: true, force: true })
  }
}

function logOf(folder: string): string {
  return join(folder, 'log')
}

function argumentsOf(kind: Kind, file: string, folder: string): string[] {
  if (kind === 'haproxy') return ['-db', '-f', file]
  return ['-c', file, '-g', `daemon off; pid ${folder}/pid;`]
}

type Place = { nodes: readonly string[]; port: number; folder: string }

function configure(kind: Kind, way: Way, { nodes, port, folder }: Place): string {
  let text = readFileSync(new URL(`../../deploy/${FILES[kind]}`, import.meta.url), 'utf8')
  const replace = (pattern: RegExp | string, replacement: string) => {
    const replaced = text.replaceAll(pattern, () => replacement)
    if (replaced === text) throw new Error(`${FILES[kind]} has no ${pattern}`)
    text = replaced
  }
  for (const [index, node] of nodes.entries()) replace(`10.0.0.1${index + 1}:8080`, new URL(node).host)
  if (way !== 'round robin') {
    replace(`# ${LINES[kind][way]}\n`, `${LINES[kind][way]}\n`)
    if (kind === 'haproxy') replace(LINES.haproxy['round robin'], '')
  }
  if (kind === 'nginx') {
    replace(/listen 80;/g, `listen 127.0.0.1:${port};`)
    replace(/access_log \S+/g, `access_log ${logOf(folder)}`)
    const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    replace(/^http \{/gm, `http {\n${kinds.map((each) => `${each}_temp_path ${folder}/${each};`).join('\n')}`)
  } else {
    replace(/bind :80$/gm, `bind 127.0.0.1:${port}`)
    replace(/log \/dev\/log local0/g, 'log stdout format raw local0')
  }
  return text
}
