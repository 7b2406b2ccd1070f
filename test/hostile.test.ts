import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Origin } from './hostile/box.ts'
import { forgetful } from './hostile/boxes/nat.ts'
import { runChecks } from './hostile/checks/run-checks.ts'
import { type Outcome, takeJourney } from './hostile/journey.ts'
import { deviations } from './hostile/known.ts'
import { makeBox } from './hostile/lab.ts'
import { openOrigin } from './hostile/origin.ts'
import { ProgramBox, type Traces } from './hostile/program-box.ts'
import { RelayBox } from './hostile/relay-box.ts'
import { agentThrough, ask, textOf } from './hostile/through.ts'
import { travellers } from './hostile/travellers/travellers.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()
let origin: Origin & AsyncDisposable
beforeAll(async () => {
  origin = await openOrigin(gateway.url)
})
afterAll(() => origin?.[Symbol.asyncDispose]())

const KILLED_SUITE = fileURLToPath(new URL('hostile/killed-suite.ts', import.meta.url))

describe.concurrent('a box does what it is known for', () => {
  test.each([
    ['nginx', ['sse', 'octet', 'slices', 'poll', 'POST', 'POST 1.2 MB']],
    ['nginx-buffering', ['sse', 'slices', 'poll', 'POST']],
    ['haproxy', ['sse', 'octet', 'slices', 'poll', 'POST']],
    ['privoxy', ['sse', 'octet', 'poll', 'POST']],
    ['squid-rules', ['sse', 'octet', 'slices', 'poll', 'POST']],
  ])('%s', async (name, checks) => {
    const box = makeBox(name)
    await box.start(origin)
    const findings = await runChecks(box, origin, checks, 1).finally(() => box.stop())
    expect([...findings.keys()]).toEqual(checks)
    expect(deviations(name, findings)).toEqual([])
  })
})

describe.concurrent('P10: with its cursor a client loses and doubles nothing, the box restarted in the middle', () => {
  test.each([
    ['nginx', 'event-source'],
    ['haproxy', 'event-source'],
    ['cutter', 'event-source'],
    ['nginx-buffering', 'long-poll'],
    ['privoxy', 'long-poll'],
    ['squid-rules', 'long-poll'],
    ['slow-link', 'long-poll'],
    ['nginx-buffering', 'sdk'],
    ['nginx-firewall', 'sdk'],
    ['squid-rules', 'sdk'],
    ['squid-scanner', 'sdk'],
    ['cutter', 'sdk'],
    ['slow-link', 'sdk'],
    ['privoxy', 'page'],
  ])('%s, %s', async (name, by) => {
    expect(await travel(name, by)).toMatchObject({
      lost: { received: 0, sent: 0 },
      doubled: 0,
      disordered: 0,
    })
  })
})

describe.concurrent('beside it, through the same boxes', () => {
  test('an open line: a WebSocket gets all but what falls into the restart', async () => {
    const { rungs, lost } = await travel('nat', 'websocket', 500)
    expect(rungs).toEqual(['websocket'])
    expect(lost.received).toBeLessThanOrEqual(6)
  })

  test('nginx with its defaults: a WebSocket never opens', async () => {
    expect(await travel('nginx', 'websocket', 0)).toMatchObject({
      rungs: [],
      lost: { received: 12, sent: 12 },
    })
  })

  test('nginx with its defaults: Socket.IO stays with polls', async () => {
    const { rungs, lost } = await travel('nginx', 'socket.io', 500)
    expect(rungs).toEqual(['polling'])
    expect(lost.received).toBeLessThanOrEqual(6)
  })
})

test.concurrent('a flow that was silent for too long is dropped, and neither side is told', async () => {
  const box = new RelayBox('forgetful', forgetful(200))
  await box.start(origin)
  const agent = agentThrough(box)
  agent.maxSockets = 1
  try {
    const get = async () => textOf(await ask(box, agent, '/healthz', { signal: AbortSignal.timeout(1_000) }))
    await expect(get()).resolves.toContain('ok')
    const last = performance.now()
    await until('the flow to be forgotten', () => performance.now() - last > 300)
    await expect(get()).rejects.toThrow(/abort/)
    await expect(get()).resolves.toContain('ok')
  } finally {
    agent.destroy()
    await box.stop()
  }
})

test.concurrent('a stopped box leaves no process, port or folder; a restarted one is at its address again', async () => {
  const box = programBox('squid')
  await box.start(origin)
  const { traces, proxyUrl = '' } = box
  expect(isGone(traces)).toBe(false)
  await box.restart()
  await until('the first to be gone', () => isGone(traces))
  expect(box.proxyUrl).toBe(proxyUrl)
  const later = box.traces
  await box.stop()
  await until('the second to be gone', () => isGone(later))
  await expect(fetch(proxyUrl)).rejects.toThrow('fetch failed')
})

test.concurrent('when a suite is killed, its boxes go, too', async () => {
  const suite = spawn(process.execPath, [KILLED_SUITE, 'nginx', 'squid'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(suite.stdout, 'data')
  const traces: Traces = JSON.parse(line)
  expect(traces.groups.map(isAlive)).toEqual([true, true])
  suite.kill('SIGKILL')
  await until('its boxes to be gone', () => isGone(traces))
})

/** Twelve messages each way, fast. */
async function travel(name: string, by: string, patienceMs = 20_000): Promise<Outcome> {
  await using traveller = await travellers[by]?.(origin)
  if (!traveller) throw new Error(`there is no traveller ${by}`)
  const box = makeBox(name)
  await box.start(traveller.origin)
  const itinerary = { messages: 12, paceMs: 50, pauseMs: 500, patienceMs }
  return await takeJourney(box, traveller, itinerary).finally(() => box.stop())
}

function programBox(name: string): ProgramBox {
  const box = makeBox(name)
  if (!(box instanceof ProgramBox)) throw new Error(`${name} is no program`)
  return box
}

const isGone = ({ groups, folders }: Traces) =>
  !groups.some(isAlive) && !folders.some((each) => existsSync(each))

/** Whether a process of that group runs; one that has ended and waits to be collected does not. */
function isAlive(group: number): boolean {
  return readdirSync('/proc').some((entry) => {
    const stat = /^\d+$/.test(entry) ? statOf(entry) : ''
    const [state, , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state !== 'Z' && Number(itsGroup) === group
  })
}

function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return '' // ended just now
  }
}
