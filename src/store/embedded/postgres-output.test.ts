import { expect, test } from 'vitest'
import { complaintIn } from './postgres-output.ts'

const prefix = '2026-11-21 04:28:38.032 UTC [6235]'

test('the cause is told, not what went wrong after it nor clients that came too early', () => {
  const output = [
    `${prefix} LOG:  starting PostgreSQL`,
    `${prefix} FATAL:  the database system is starting up`,
    `${prefix} FATAL:  data directory "/x" has wrong ownership`,
    `${prefix} HINT:  The server must be started by the user that owns it.`,
    `${prefix} PANIC:  cannot abort transaction 1, it was already committed`,
  ].join('\n')
  expect(complaintIn(output)).toBe('data directory "/x" has wrong ownership')
  expect(complaintIn(`${prefix} LOG:  all is well`)).toBeNull()
})

test('a full disk comes with what to do about it', () => {
  const output =
    'initdb: error: could not write file "/x/y": No space left on device\ninitdb: removing contents'
  expect(complaintIn(output)).toMatch(/^could not write file .*: make room, or choose another DATA_DIR$/)
})
