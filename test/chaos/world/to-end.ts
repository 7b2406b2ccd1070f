import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Resolves when a program has ended well; else rejects with what it said. */
export async function toEnd(child: ChildProcess): Promise<void> {
  child.stdout?.resume()
  let said = ''
  child.stderr?.on('data', (chunk) => {
    said += chunk
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${child.spawnfile} ended with ${code}: ${said}`)
}
