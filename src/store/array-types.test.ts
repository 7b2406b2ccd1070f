import { expect, test } from 'vitest'
import { formatArray, parseArray } from './array-types.ts'

test.each([
  [[]],
  [['a', 'b']],
  [['', ' ', 'NULL', null, '{}', ',', '"', '\\', '\\"', 'a"b\\c', 'line\nbreak', '👋']],
])('%j survives', (values) => {
  expect(parseArray(formatArray(values))).toEqual(values)
})

test('other elements are written as Postgres reads them', () => {
  expect(formatArray([1, null, true, Buffer.from([0, 255])])).toBe('{1,NULL,true,"\\\\x00ff"}')
})
