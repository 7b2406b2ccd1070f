import { readFileSync } from 'node:fs'

const { version: current } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string }

/** The version of this program, as its package says. */
export const version = current
