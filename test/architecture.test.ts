import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const SRC = fileURLToPath(new URL('../src/', import.meta.url))

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
)

/** What a file imports: paths below src/ for our own, else package names. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(SRC, file), 'utf8')
  return [...text.matchAll(/(?:from|import) '([^']+)'/g)].map(([, name = '']) =>
    name.startsWith('.') ? relative(SRC, join(SRC, dirname(file), name)) : name,
  )
}

const arrows = files.flatMap((from) => importsOf(from).map((to) => ({ from, to })))

/** The arrows from files for which `from` holds to what `to` matches. */
function breaking(from: (file: string) => boolean, to: RegExp): string[] {
  return arrows
    .filter((arrow) => from(arrow.from) && to.test(arrow.to))
    .map((arrow) => `${arrow.from} → ${arrow.to}`)
}

const within = (room: string) => (file: string) => file.startsWith(`${room}/`)
const OURS =
  /^(http|store|live|delivery|push|client|web|app|config|gatherer|main|pause|seldom|start-error|start-presence|start-push)\b/

test('it finds the imports at all', () => {
  expect(arrows).toContainEqual({ from: 'main.ts', to: 'app.ts' })
  expect(arrows.length).toBeGreaterThan(100)
})

test('protocol/ imports nothing of ours, and zod only in its schemas', () => {
  expect(breaking(within('protocol'), OURS)).toEqual([])
  expect(breaking((file) => within('protocol')(file) && !file.endsWith('schemas.ts'), /^zod$/)).toEqual([])
})

test('web/ and client/ import only protocol/ and client/, and never zod', () => {
  const page = (file: string) => within('web')(file) || within('client')(file)
  expect(
    breaking(
      page,
      /^(http|store|live|delivery|push|app|config|gatherer|main|pause|seldom|start-error|node:|zod|protocol\/[a-z-]*schemas)/,
    ),
  ).toEqual([])
  expect(breaking(within('client'), /^web\//)).toEqual([])
})

test('the page takes of client/ only what /client.js gives to every page, and what of push must go without it', () => {
  // A worker is a script of its own, which cannot import.
  const page = (file: string) => within('web')(file) && file !== 'web/service-worker.ts'
  expect(breaking(page, /^client\/(?!(client|push-subscription|push-wish|hear-worker)\.ts$)/)).toEqual([])
})

test('store/ and live/ never import each other; live/ and delivery/ know neither HTTP routes nor SQL', () => {
  expect(breaking(within('store'), /^(live|delivery|http|push)\//)).toEqual([])
  expect(breaking(within('live'), /^(store|delivery|http)\//)).toEqual([])
  expect(breaking(within('delivery'), /^(store|http)\//)).toEqual([])
  expect(breaking(within('push'), /^(live|delivery|http)\//)).toEqual([])
})

test('nothing imports http/ but app.ts', () => {
  expect(breaking((file) => !within('http')(file) && file !== 'app.ts', /^http\//)).toEqual([])
})

test.each([
  ['postgres', /^store\//],
  ['nats', /^live\/nats-bus\.ts$/],
  ['web-push', /^push\//],
  ['ipaddr.js', /^push\/endpoint-guard\.ts$/],
  ['pg-boss', /^store\/turn-queue\.ts$/],
  ['hono', /^http\//],
  ['jose', /^http\/auth\//],
])('%s has one door', (vendor, door) => {
  expect(breaking((file) => !door.test(file), new RegExp(`^${vendor}(/|$)`))).toEqual([])
})

test('no path of a file is taken from a URL by its pathname, where a blank is %20', () => {
  const takers = files.filter((file) =>
    /new URL\([^)]*\)\.pathname/.test(readFileSync(join(SRC, file), 'utf8')),
  )
  expect(takers).toEqual([])
})

test('config.ts is the only reader of the environment', () => {
  const readers = files.filter((file) => /process\.env/.test(readFileSync(join(SRC, file), 'utf8')))
  expect(readers.filter((file) => file !== 'config.ts' && file !== 'main.ts')).toEqual([])
})
