import { expect, test } from 'vitest'
import { MAX_ANSWER_BYTES } from '../src/protocol/constants.ts'
import { useGateway } from './support/suite.ts'

const { gateway } = useGateway()

test.each(['/', '/page.js', '/page.css'])(
  '%s comes through scanners that stall on large answers',
  async (path) => {
    const answer = await fetch(gateway.url + path)
    expect(answer.status).toBe(200)
    const { byteLength } = await answer.arrayBuffer()
    expect(byteLength).toBeGreaterThan(1_000)
    expect(byteLength).toBeLessThanOrEqual(MAX_ANSWER_BYTES)
  },
)
