import { expect, test } from 'vitest'
import { formatCursor, parseCursor } from './cursor.ts'

test('a cursor survives the wire', () => {
  const cursor = { epoch: 'k3f9', id: 4211 }
  expect(formatCursor(cursor)).toBe('k3f9-4211')
  expect(parseCursor('k3f9-4211')).toEqual(cursor)
})

test.each([
  '',
  'k3f9',
  '-1',
  'k3f9--1',
  'k3f9-1.5',
  'k3f9-01',
  'k3f9-1e3',
  'K3F9-1',
  'k3f9-99999999999999999',
  'k3f9-9007199254740993',
  'k3f9-1\n',
  ' k3f9-1',
])('%j is malformed', (text) => {
  expect(parseCursor(text)).toBeUndefined()
})
