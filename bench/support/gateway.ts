import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const ROOT = new URL('../../', import.meta.url)
const START_MS = 60_000
/** More than a gateway takes to end by itself. */
const STOP_MS = 15_000
const WARNING = 40

/** A gateway that runs as a process of its own, as a user would start it. */
export type Gateway = AsyncDisposable & {
  url: string
  pid: number
  /** Name of its database, as Postgres shows it in its processes' titles. */
  database: string
}

/** Starts a gateway over `environment` and waits for its address. */
export async function startGateway(
  environment: Record<string, string>,
  database: string,
  nodeFlags: readonly string[],
): Promise<Gateway> {
  const child = spawn(process.execPath, [...nodeFlags, ...startArguments()], {
    cwd: ROOT,
    env: { ...process.env, PORT: '0', RATE_LIMITS: 'off', LOG_LEVEL: 'info', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    // Not SIGTERM: that waits for balancers.
    child.kill('SIGINT')
    const cut = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await ended
    clearTimeout(cut)
  }
  try {
    const url = await readUrl(child)
    return { url, pid: child.pid ?? 0, database, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** What `npm start` gives to node, so that the gateway measured is the gateway that people run. */
function startArguments(): string[] {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as {
    scripts: { start: string }
  }
  const [command, ...rest] = scripts.start.split(' ')
  if (command !== 'node') throw new Error(`the start script is not a plain node command: ${scripts.start}`)
  return rest
}

/** Reads the log to its end: for the address, and so that no warning goes unseen. */
function readUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the gateway did not start: ${why}`))
    const timer = setTimeout(() => fail(`no address after ${START_MS / 1_000} s`), START_MS)
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => fail(`it ended with ${code}`))
    if (!child.stdout) return
    createInterface(child.stdout).on('line', (line) => {
      const url = /listening on (https?:[^"\s]+)/.exec(line)?.[1]
      if (url) {
        clearTimeout(timer)
        resolve(url)
      }
      const level = Number(/"level":(\d+)/.exec(line)?.[1])
      if (level >= WARNING) process.stderr.write(`gateway: ${line}\n`)
    })
  })
}
