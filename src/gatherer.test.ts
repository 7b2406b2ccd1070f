import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Gatherer } from './gatherer.ts'

test('what comes within a round goes on together, in order, and what comes later by itself', async () => {
  const lists: number[][] = []
  const gatherer = new Gatherer<number>((list) => lists.push(list))
  for (const n of [1, 2, 3]) gatherer.add(n)
  expect(lists).toEqual([])
  await setImmediate()
  gatherer.add(4)
  await setImmediate()
  expect(lists).toEqual([[1, 2, 3], [4]])
})
