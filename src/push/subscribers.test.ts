import { expect, onTestFinished, test, vi } from 'vitest'
import { Subscribers } from './subscribers.ts'

test('who does not want to be woken is asked for once, until they begin to', async () => {
  const subscribed = new Set(['anna'])
  const recent = new Set<string>()
  const asked: (readonly string[])[] = []
  const subscribers = new Subscribers({
    async subscribed(userIds, recentMs) {
      expect(recentMs).toBeGreaterThanOrEqual(6_000)
      asked.push(userIds)
      return new Set([...userIds.filter((id) => subscribed.has(id)), ...recent])
    },
  })
  const among = async (...ids: string[]) => [...(await subscribers.among(new Set(ids)))]
  expect(await among('anna', 'ben', 'cora')).toEqual(['anna'])
  expect(await among('anna', 'ben')).toEqual(['anna'])
  expect(asked).toEqual([['anna', 'ben', 'cora'], ['anna']])
  subscribed.add('ben')
  recent.add('ben')
  expect(await among('ben', 'cora')).toEqual(['ben'])
  recent.clear()
  expect(await among('ben', 'cora')).toEqual(['ben'])
  expect(asked.slice(2)).toEqual([[], ['ben']])
})

test('nobody is taken for one of the others for long, however much is asked meanwhile', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const asked: (readonly string[])[] = []
  const subscribers = new Subscribers({
    async subscribed(userIds) {
      asked.push(userIds)
      return new Set()
    },
  })
  // Ten minutes, a message every five seconds.
  for (let n = 0; n < 120; n += 1) {
    await subscribers.among(new Set(['ben']))
    vi.advanceTimersByTime(5_000)
  }
  expect(asked.filter((userIds) => userIds.includes('ben'))).toHaveLength(10)
})
