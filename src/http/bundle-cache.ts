import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'

const ROOT = new URL('../../', import.meta.url)
const CACHE = new URL('node_modules/.cache/longwave/', ROOT)
/** All that a bundle is made of; packages by their versions. */
const SOURCES = ['src/client/', 'src/web/', 'src/protocol/', 'src/http/bundle.ts', 'package.json']

/**
 * What `make` made of the sources as they are, kept beside the packages: bundling takes a second, and nodes start again
 * and again. Where nothing can be written it is made each time.
 */
export async function cached<T>(name: string, make: () => Promise<T>): Promise<T> {
  const file = new URL(`${name.replaceAll('/', '-')}.json`, CACHE)
  const hash = await hashOfSources()
  const kept = await readFile(file, 'utf8')
    .then(JSON.parse)
    .catch(() => undefined)
  if (kept?.hash === hash) return kept.made
  const made = await make()
  await keep(file, JSON.stringify({ hash, made })).catch(() => {})
  return made
}

/** Whole or not at all: other nodes start at the same time. */
async function keep(file: URL, text: string): Promise<void> {
  const unfinished = new URL(`${file.href}.${process.pid}`)
  await mkdir(CACHE, { recursive: true })
  await writeFile(unfinished, text)
  await rename(unfinished, file)
}

let hashed: Promise<string> | undefined

function hashOfSources(): Promise<string> {
  hashed ??= (async () => {
    const sum = createHash('sha256')
    const files = await Promise.all(SOURCES.map(filesOf))
    for (const name of files.flat().sort()) sum.update(name).update(await readFile(new URL(name, ROOT)))
    return sum.digest('hex').slice(0, 32)
  })()
  return hashed
}

/** The files of a folder and those below it; a file is its own. */
async function filesOf(name: string): Promise<string[]> {
  if (!name.endsWith('/')) return [name]
  const inside = await readdir(new URL(name, ROOT), { recursive: true })
  return inside.filter((each) => each.includes('.')).map((each) => name + each)
}
