import { expect, test } from 'vitest'
import type { Effect, Input } from './draft.ts'
import { RUNGS } from './rungs.ts'
import { initialState, type Options, type State } from './state.ts'
import { dueAt, step } from './step.ts'

/** The machine in somebody's hands: what is given at which time, and what it says to that. */
class Machine {
  state: State
  now = 0

  constructor(options: Partial<Options> = {}) {
    this.state = initialState({ rungs: RUNGS, hasCursor: true, isVisible: true, ...options })
    this.opened = this.give({ type: 'start', hasCursor: options.hasCursor ?? true, highest: 0 })
  }

  /** The effects of `start`. */
  readonly opened: Effect[]

  give(input: Input, at = this.now): Effect[] {
    this.now = at
    const [state, effects] = step(this.state, input, at, () => 0.5)
    this.state = state
    return effects
  }

  /** Fires every timer that is due until then. */
  waitUntil(time: number): Effect[] {
    const effects: Effect[] = []
    while (dueAt(this.state) <= time)
      effects.push(...this.give({ type: 'tick' }, Math.max(this.now, dueAt(this.state))))
    this.now = time
    return effects
  }

  /** The poll that is out is answered. */
  answer(highest = 0, at = this.now): Effect[] {
    const { attempt } = this.state.poll
    // Not empty: one that comes empty too soon is followed by a pause.
    return this.give({ type: 'answered', attempt, highest, events: 1, hasMore: false }, at)
  }

  /** The stream that was asked for greets and goes on. */
  prove(at = this.now): Effect[] {
    const { attempt } = this.state.stream
    return [
      ...this.give({ type: 'hello', attempt, heartbeatMs: 7_000 }, at),
      ...this.give({ type: 'sign', attempt }),
    ]
  }
}

const rungsOpened = (effects: Effect[]) =>
  effects.flatMap((effect) => (effect.type === 'open' ? [effect.rung] : []))
const closed = (effects: Effect[]) =>
  effects.flatMap((effect) => (effect.type === 'close' ? [effect.attempt] : []))

/** One that relies on its stream. */
function onStream(): Machine {
  const machine = new Machine({ remembered: 'sse' })
  machine.prove(100)
  return machine
}

test('L2: where nothing is known a poll is asked at once, and a stream beside it', () => {
  const machine = new Machine()
  expect(rungsOpened(machine.opened)).toEqual(['sse', 'poll'])
  expect(rungsOpened(machine.answer(0, 50))).toEqual(['long-poll'])
})

test('no stream is opened before there is a cursor', () => {
  const machine = new Machine({ hasCursor: false })
  expect(rungsOpened(machine.opened)).toEqual(['poll'])
  expect(rungsOpened(machine.answer(7, 50))).toContain('sse')
})

test.each([
  ['sse', ['sse']],
  ['sse-slices', ['sse-slices']],
  ['long-poll', ['poll']],
  ['poll', ['poll']],
] as const)('with %s remembered it begins there', (remembered, opened) => {
  expect(rungsOpened(new Machine({ remembered }).opened)).toEqual(opened)
})

test('a remembered stream that is not there within a second has polls beside it', () => {
  const machine = new Machine({ remembered: 'sse' })
  expect(rungsOpened(machine.waitUntil(999))).toEqual([])
  expect(rungsOpened(machine.waitUntil(1_000))).toEqual(['poll'])
})

test('what a box refuses to a GET is asked by POST, and by GET again when that is refused', () => {
  const machine = new Machine({ remembered: 'long-poll' })
  const refuse = (fault: 'refused' | 'broken') => {
    const { attempt } = machine.state.poll
    machine.give({ type: 'failed', attempt, fault, reason: '403' }, machine.now + 10)
    return machine.waitUntil(machine.state.poll.until)
  }
  expect(machine.opened).toContainEqual(expect.objectContaining({ rung: 'poll', isPost: false }))
  expect(refuse('refused')).toContainEqual(expect.objectContaining({ rung: 'poll', isPost: true }))
  expect(refuse('broken')).toContainEqual(expect.objectContaining({ rung: 'poll', isPost: true }))
  expect(refuse('refused')).toContainEqual(expect.objectContaining({ rung: 'poll', isPost: false }))
})

test('what is not answered in time is asked by POST: a box may drop the query, and with it how long to wait', () => {
  const machine = new Machine({ remembered: 'long-poll' })
  const opened = machine.waitUntil(8_000).filter(({ type }) => type === 'open')
  expect(opened[0]).toMatchObject({ isPost: true })
})

test.each(['auth', 'refused'] as const)(
  'one poll that failed for %s is mended before it is called offline',
  (fault) => {
    const machine = new Machine({ remembered: 'long-poll' })
    machine.answer(0, 50)
    const failOnce = () => {
      machine.waitUntil(machine.state.poll.until)
      const { attempt } = machine.state.poll
      return machine.give({ type: 'failed', attempt, fault, reason: '' }, machine.now + 10)
    }
    machine.waitUntil(100)
    expect(failOnce()).toEqual([])
    expect(failOnce()).toContainEqual(expect.objectContaining({ type: 'status', state: 'offline' }))
  },
)

test('L3: a greeting alone proves nothing', () => {
  const machine = new Machine({ remembered: 'sse' })
  const { attempt } = machine.state.stream
  machine.give({ type: 'hello', attempt, heartbeatMs: 7_000 }, 100)
  expect(machine.state.stream.phase).toBe('greeted')
  expect(closed(machine.waitUntil(1_200))).toContain(attempt)
})

test('L3: a stream that was tried carries after eight seconds, and polls end', () => {
  const machine = new Machine()
  machine.answer(0, 50)
  machine.prove(60)
  for (let at = 3_000; at < 8_000; at += 3_000) {
    machine.waitUntil(at)
    machine.answer(0, at)
  }
  machine.waitUntil(8_059)
  expect(machine.state.rung).toBe('long-poll')
  const effects = machine.waitUntil(8_061)
  expect(effects).toContainEqual({ type: 'remember', rung: 'sse' })
  machine.answer(0, 9_000)
  expect(machine.state.poll.phase).toBe('idle')
})

test('L4: a rung that fails twice, each time confirmed by a poll that began later, is given up', () => {
  const machine = new Machine({ remembered: 'sse' })
  const broken = { type: 'failed', fault: 'broken', reason: 'reset' } as const
  const failAndConfirm = (at: number) => {
    machine.give({ ...broken, attempt: machine.state.stream.attempt }, at)
    machine.answer(0, at + 10)
    // The one that had begun before says nothing; the next one does.
    machine.waitUntil(at + 200)
    machine.answer(0, at + 220)
  }
  failAndConfirm(100)
  expect(machine.state).toMatchObject({ rung: 'sse', faults: 1 })
  machine.waitUntil(machine.state.stream.until)
  failAndConfirm(machine.now + 100)
  expect(machine.state.rung).toBe('long-poll')
})

test('L4: a rung that fails while polls fail too is kept, however often', () => {
  const machine = new Machine({ remembered: 'sse' })
  const broken = { type: 'failed', fault: 'broken', reason: 'reset' } as const
  for (let at = 0; at < 300_000; at += 100) {
    machine.waitUntil(at)
    const { stream, poll } = machine.state
    if (stream.attempt > 0) machine.give({ ...broken, attempt: stream.attempt })
    if (poll.attempt > 0) machine.give({ ...broken, attempt: poll.attempt })
  }
  expect(machine.state).toMatchObject({ rung: 'sse', faults: 0, isDown: true })
})

test('L4: 403 needs no second time', () => {
  const machine = new Machine({ remembered: 'sse' })
  const { attempt } = machine.state.stream
  machine.give({ type: 'failed', attempt, fault: 'refused', reason: '403' }, 30)
  expect(machine.state.rung).toBe('sse')
  expect(rungsOpened(machine.answer(0, 60))).toContain('sse-disguised')
  expect(machine.state.rung).toBe('long-poll')
})

test('L5: a proven stream that misses its heartbeat is closed when a poll is answered meanwhile', () => {
  const machine = onStream()
  machine.waitUntil(5_100)
  machine.answer(0, 5_110)
  const { attempt } = machine.state.stream
  expect(rungsOpened(machine.waitUntil(9_200))).toEqual(['poll'])
  expect(closed(machine.answer(0, 9_250))).toEqual([attempt])
})

test('L5: a stream that lacks what a poll proved is closed, unless it brings it in time', () => {
  const late = onStream()
  const { attempt } = late.state.stream
  late.waitUntil(5_100)
  late.answer(9, 5_150)
  expect(closed(late.waitUntil(6_700))).toEqual([attempt])

  const inTime = onStream()
  inTime.waitUntil(5_100)
  inTime.answer(9, 5_150)
  inTime.give({ type: 'event', attempt, id: 9, lagMs: 0 }, 5_300)
  expect(closed(inTime.waitUntil(6_700))).toEqual([])
})

test('L7: what the server asks for is waited for', () => {
  const machine = new Machine({ remembered: 'long-poll' })
  const { attempt } = machine.state.poll
  machine.give({ type: 'failed', attempt, fault: 'busy', retryAfterMs: 20_000, reason: '503' }, 10)
  machine.give({ type: 'visible', visible: true }, 20)
  expect(rungsOpened(machine.waitUntil(20_000))).toEqual([])
  expect(rungsOpened(machine.waitUntil(21_000))).toEqual(['poll'])
})

test.each(['long-poll', 'sse'] as const)(
  'L7: what the server asks for is waited for whole, also when the browser says that it is online (%s)',
  (remembered) => {
    const machine = new Machine({ remembered })
    const { poll, stream } = machine.state
    const { attempt } = remembered === 'sse' ? stream : poll
    const rung = remembered === 'sse' ? 'sse' : 'poll'
    machine.give({ type: 'failed', attempt, fault: 'busy', retryAfterMs: 60_000, reason: '429' }, 100)
    machine.give({ type: 'online' }, 1_000)
    machine.give({ type: 'online' }, 20_000)
    expect(rungsOpened(machine.waitUntil(60_000))).not.toContain(rung)
    expect(rungsOpened(machine.waitUntil(62_000))).toContain(rung)
  },
)

test('L7: what a failure alone made it wait for is cut short when the browser says that it is online', () => {
  const machine = new Machine({ remembered: 'long-poll' })
  for (let fails = 0; fails < 6; fails += 1) {
    const { attempt } = machine.state.poll
    machine.give({ type: 'failed', attempt, fault: 'broken', reason: 'reset' }, machine.now + 10)
    if (fails < 5) machine.waitUntil(machine.state.poll.until)
  }
  machine.give({ type: 'online' })
  expect(machine.state.poll.until - machine.now).toBeLessThanOrEqual(500)
})

test('L7: a line that brings something between cuts is asked again soon, however often it is cut', () => {
  const machine = new Machine({ remembered: 'long-poll' })
  for (let id = 1; id <= 20; id++) {
    const { attempt } = machine.state.poll
    machine.give({ type: 'bytes', attempt }, machine.now + 10)
    machine.give({ type: 'failed', attempt, fault: 'broken', reason: 'reset' })
    const { until } = machine.state.poll
    expect(until - machine.now).toBeLessThan(600)
    machine.waitUntil(until)
    machine.answer(id, machine.now + 20)
    machine.waitUntil(machine.state.poll.until)
  }
})

test('L7: answers that are cut midway in a row are asked for again at one pace, for fewer events', () => {
  const machine = new Machine({ remembered: 'long-poll' })
  for (const limit of [100, 25, 6, 1]) {
    const { attempt } = machine.state.poll
    expect(machine.state.limit).toBe(limit)
    machine.give({ type: 'bytes', attempt }, machine.now + 10)
    machine.give({ type: 'failed', attempt, fault: 'broken', reason: 'reset' })
    const { until } = machine.state.poll
    expect(until - machine.now).toBeLessThan(600)
    machine.waitUntil(until)
  }
  machine.answer(1, machine.now + 20)
  expect(machine.state.limit).toBe(2)
})

test('L8: a timer that was late by more than two seconds concludes nothing, and asks', () => {
  const machine = onStream()
  const effects = machine.give({ type: 'tick' }, 3_600_000)
  expect(closed(effects)).toEqual([])
  expect(rungsOpened(effects)).toEqual(['poll'])
  expect(machine.state.stream.phase).toBe('proven')
})

test('L9: a bye is nobody’s fault', () => {
  const machine = onStream()
  const { attempt } = machine.state.stream
  machine.give({ type: 'bye', attempt, reason: 'draining', retryMs: 2_000 }, 5_000)
  expect(machine.state).toMatchObject({ rung: 'sse', faults: 0, pending: undefined })
  expect(rungsOpened(machine.waitUntil(7_000))).toEqual(['long-poll', 'sse'])
})

test('L10: nobody climbs while nobody looks', () => {
  const machine = new Machine({ remembered: 'long-poll', isVisible: false })
  machine.answer(0, 20)
  for (let at = 20_000; at < 600_000; at += 20_000) {
    expect(rungsOpened([...machine.answer(0, at), ...machine.waitUntil(at)])).not.toContain('sse')
  }
  expect(rungsOpened(machine.give({ type: 'visible', visible: true }))).toContain('sse')
})

test('L10: a change of network is reason to climb soon', () => {
  const machine = new Machine({ remembered: 'long-poll' })
  machine.answer(0, 20)
  machine.give({ type: 'online' })
  expect(rungsOpened(machine.waitUntil(2_020))).toContain('sse')
})

test('what comes of an attempt that is closed changes nothing', () => {
  const machine = onStream()
  const before = machine.state
  machine.give({ type: 'event', attempt: 999, id: 5, lagMs: 0 })
  machine.give({ type: 'failed', attempt: 999, fault: 'refused', reason: '403' })
  expect(machine.state).toEqual(before)
})

test('halted it opens nothing, and goes on where it was when it is started again', () => {
  const machine = onStream()
  expect(closed(machine.give({ type: 'halt' }, 1_000))).toEqual([machine.opened.length > 0 ? 1 : 0])
  expect(machine.waitUntil(1_000_000)).toEqual([])
  const opened = machine.give({ type: 'start', hasCursor: true, highest: 4 }, 1_000_000)
  expect(rungsOpened(opened)).toEqual(['sse'])
})

test('a step changes nothing of the state that it was given', () => {
  const machine = onStream()
  const before = structuredClone(machine.state)
  step(machine.state, { type: 'bye', attempt: 1, reason: 'x', retryMs: 1 }, 200, () => 0.5)
  expect(machine.state).toEqual(before)
})

test('who waited in vain for an answer has paused: a network that is back is found within ten seconds', () => {
  const machine = new Machine({ rungs: ['long-poll', 'poll'] })
  const asked: number[] = []
  for (let at = 0; at < 60_000; at += 100) {
    for (const rung of rungsOpened(machine.waitUntil(at))) if (rung === 'poll') asked.push(at)
  }
  const pauses = asked.map((at, index) => at - (asked[index - 1] ?? 0))
  expect(Math.max(...pauses)).toBeLessThan(9_000)
  expect(asked.length).toBeLessThan(16)
})
