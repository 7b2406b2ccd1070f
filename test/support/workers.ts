import { readFileSync } from 'node:fs'
import { onTestFinished } from 'vitest'
import { identify } from '../../src/store/embedded/process-identity.ts'
import { GatewayProcess } from './gateway-process.ts'
import { Person } from './person.ts'
import type { Stream } from './stream.ts'
import { until } from './wait.ts'

/** A gateway of two workers, ended after the test at the latest. */
export async function startTwoWorkers(
  env: Record<string, string>,
): Promise<{ gateway: GatewayProcess; url: string }> {
  const gateway = new GatewayProcess({ WORKERS: '2', ...env })
  onTestFinished(() => gateway[Symbol.asyncDispose]())
  return { gateway, url: await gateway.url() }
}

/** The pids of a gateway's workers that run just now; its Postgres is none of them. */
export function workersOf({ child: { pid } }: GatewayProcess): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  return children.map(Number).filter((each) => commandOf(each).includes('worker.ts'))
}

/** Whether any of them still runs. */
export function runsAny(pids: readonly number[]): boolean {
  return pids.some((pid) => identify(pid) !== null)
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** Two people and their conversation. */
export async function pair(url: string) {
  const [alice, bob] = [await Person.signUp(url), await Person.signUp(url)]
  return { alice, bob, chat: await alice.direct(bob) }
}

type Placed = { stream: Stream; node: string }

/** A stream of somebody on another worker than `besides`. */
export async function streamElsewhere(person: Person, besides?: string): Promise<Placed> {
  return until('a stream on another worker', async () => {
    const stream = await person.stream()
    const { node } = JSON.parse((await stream.waitForFrame('hello')).data)
    if (node !== besides) return { stream, node: String(node) }
    stream[Symbol.dispose]()
    return null
  })
}

/** ms until a message is on a stream of either worker, the slower of the two: the median of `count`. */
export async function medianLag(url: string, count = 13): Promise<number> {
  const { alice, bob, chat } = await pair(url)
  const here = await streamElsewhere(alice)
  const there = await streamElsewhere(bob, here.node)
  using _ = here.stream
  using __ = there.stream
  for (const { stream } of [here, there]) await stream.waitForFrame('heartbeat')
  const lags: number[] = []
  for (let n = 1; n <= count; n += 1) {
    const began = performance.now()
    await alice.send(chat, String(n))
    await Promise.all([here, there].map(({ stream }) => stream.waitForTexts(n)))
    lags.push(performance.now() - began)
  }
  return lags.sort((a, b) => a - b)[Math.floor(count / 2)] ?? Number.NaN
}
