import { createWriteStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { History } from './history.ts'

/** Writes a history to a folder, as JSON a line, and what was wrong with it. */
export async function keepHistory(
  folder: string,
  history: History,
  violations: readonly object[],
): Promise<void> {
  const { devices, ...rest } = history
  await writeFile(join(folder, 'violations.json'), JSON.stringify(violations, null, 2))
  for (const [name, records] of Object.entries(rest)) {
    if (Array.isArray(records)) await writeLines(join(folder, `${name}.jsonl`), records)
  }
  for (const device of devices) {
    await writeLines(join(folder, `device-${device.name}.jsonl`), device)
    await writeLines(join(folder, `device-${device.name}-connections.jsonl`), device.connections)
  }
}

async function writeLines(path: string, records: Iterable<object>): Promise<void> {
  const lines = function* () {
    for (const record of records) yield `${JSON.stringify(record)}\n`
  }
  await pipeline(Readable.from(lines()), createWriteStream(path))
}
