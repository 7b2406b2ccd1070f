import { setImmediate as nextTick } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { encodeEvent, type Hint } from '../protocol/event.ts'
import { Outlet, type Told, WorkerBus } from './worker-bus.ts'

const DATABASE_EPOCH = 'e1'

/** Two buses joined as a primary would join them. */
function join() {
  const passed: Told[] = []
  const link = (to: () => WorkerBus) => (message: Told, sent: () => void) => {
    passed.push(structuredClone(message))
    to().hear(message)
    sent()
  }
  const one: WorkerBus = new WorkerBus(link(() => other))
  const other: WorkerBus = new WorkerBus(link(() => one))
  return { one, other, passed }
}

function announcement(recipients: string[], text: string) {
  const body = encodeEvent({ type: 'announcement', at: '2026-11-21T09:00:00.000Z', text })
  return { recipients, ids: recipients.map((_, index) => index + 1), database_epoch: DATABASE_EPOCH, body }
}

test('what one worker announces in a tick reaches the readers of the other in one message, and its own once', async () => {
  const { one, other, passed } = join()
  const heard: Record<string, Hint[]> = { here: [], there: [] }
  await one.subscribe('anna', { hint: (hint) => heard.here?.push(hint), pass() {} })
  await other.subscribe('ben', { hint: (hint) => heard.there?.push(hint), pass() {} })
  one.announce(announcement(['anna', 'ben'], 'grüße'))
  one.announce(announcement(['anna', 'ben'], '\u{1f30a}'))
  await nextTick()
  await nextTick()
  expect(passed).toHaveLength(1)
  expect(heard.here?.map(({ id }) => id)).toEqual([1, 1])
  expect(heard.there).toEqual([
    { id: 2, database_epoch: DATABASE_EPOCH, body: announcement([], 'grüße').body },
    { id: 2, database_epoch: DATABASE_EPOCH, body: announcement([], '\u{1f30a}').body },
  ])
})

test('a broadcast reaches the others, each topic its listener', () => {
  const { one, other } = join()
  const heard: string[] = []
  one.onBroadcast('nodes', () => heard.push('an echo'))
  other.onBroadcast('nodes', (text) => heard.push(text))
  one.broadcast('nodes', 'here')
  one.broadcast('weather', 'rain')
  expect(heard).toEqual(['here'])
})

test('a process that takes nothing costs a bounded number of bytes; when it takes again it is told again', () => {
  const waiting: { bytes: number; sent: () => void }[] = []
  const outlet = new Outlet((message, sent) => {
    waiting.push({ bytes: message.kind === 'hints' ? message.data.byteLength : 0, sent })
  })
  const flood = () => {
    for (let n = 0; n < 100; n += 1) outlet.tell({ kind: 'hints', data: new Uint8Array(1024 * 1024) })
  }
  flood()
  const kept = waiting.length
  expect(waiting.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(16 * 1024 * 1024)
  for (const { sent } of waiting.splice(0)) sent()
  flood()
  expect(waiting).toHaveLength(kept)
})
