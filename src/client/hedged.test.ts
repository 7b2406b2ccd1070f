import { expect, test } from 'vitest'
import { type Answer, noAnswer } from './answers.ts'
import { hedged } from './hedged.ts'
import { pause } from './pause.ts'

const good = (body: string): Answer => ({ ok: true, status: 200, body })
const refused: Answer = { ...noAnswer('no'), status: 422, isOurs: true }
const never = new Promise<Answer>(() => {})

/** What it comes to, and how often was asked. */
async function outcome(first: Promise<Answer>, second: Promise<Answer>) {
  let asked = 0
  const ask = (isHedge: boolean) => {
    asked += 1
    return isHedge ? second : first
  }
  return [await hedged(ask, 20), asked]
}

test('what is answered soon is asked once', async () => {
  expect(await outcome(Promise.resolve(good('a')), never)).toEqual([good('a'), 1])
})

test('what fails soon has failed', async () => {
  expect(await outcome(Promise.resolve(noAnswer('reset')), never)).toEqual([noAnswer('reset'), 1])
})

test('what hangs is asked once more', async () => {
  expect(await outcome(never, Promise.resolve(good('b')))).toEqual([good('b'), 2])
})

test('the server’s refusal counts from either', async () => {
  expect(await outcome(never, Promise.resolve(refused))).toEqual([refused, 2])
})

test('when one of two fails the other is waited for', async () => {
  const first = Promise.withResolvers<Answer>()
  const second = Promise.withResolvers<Answer>()
  const asked = hedged((isHedge) => {
    if (!isHedge) return first.promise
    first.resolve(noAnswer('reset'))
    setImmediate(() => second.resolve(good('b')))
    return second.promise
  }, 20)
  expect(await asked).toEqual(good('b'))
})

test('what has begun to come is not asked again, however long it takes', async () => {
  let asked = 0
  const ask = async (_: boolean, begun: () => void) => {
    asked += 1
    begun()
    await pause(60)
    return good('a long one')
  }
  expect([await hedged(ask, 20), asked]).toEqual([good('a long one'), 1])
})
