import { readdirSync, readFileSync } from 'node:fs'

const MIGRATIONS = new URL('../../src/store/migrations/', import.meta.url)

export type Change = readonly [from: string, to: string]

/** A function of the migrations as they leave it: text that makes it anew. */
export function functionText(name: string): string {
  const pattern = new RegExp(`CREATE (?:OR REPLACE )?FUNCTION ${name}\\([\\s\\S]*?\\$\\$;`, 'g')
  const files = readdirSync(MIGRATIONS).sort()
  const texts = files.flatMap((file) => readFileSync(new URL(file, MIGRATIONS), 'utf8').match(pattern) ?? [])
  const last = texts.at(-1)
  if (!last) throw new Error(`no migration makes the function ${name}`)
  return last.replace(/^CREATE (OR REPLACE )?FUNCTION/, 'CREATE OR REPLACE FUNCTION')
}

/** A function with something else in it. Throws where the text to spoil is not there once, so that no bug is silently none. */
export function spoil(name: string, ...changes: Change[]): string {
  return changes.reduce((text, [from, to]) => {
    const parts = text.split(from)
    if (parts.length !== 2) throw new Error(`${name} has ${parts.length - 1} times: ${from}`)
    return parts.join(to)
  }, functionText(name))
}
