import { expect, test } from 'vitest'
import { renderSettings } from './settings.ts'

const megabyte = 1024 * 1024
const input = { port: 20_000, socketDir: "/it's here/socket", memory: 8192 * megabyte, connections: 57 }

test('paths are quoted for the file and for the list within', () => {
  expect(renderSettings(input)).toContain(`unix_socket_directories = '"/it''s here/socket"'\n`)
})

test('shared buffers are an eighth of a small memory and 256 MB of a large one', () => {
  expect(renderSettings(input)).toContain("shared_buffers = '256MB'\n")
  expect(renderSettings({ ...input, memory: 512 * megabyte })).toContain("shared_buffers = '64MB'\n")
})
