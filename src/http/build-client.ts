import { mkdir, writeFile } from 'node:fs/promises'
import { bundle } from './bundle.ts'

const DIST = new URL('../../dist/', import.meta.url)

// `npm run build:client`: the package's module is the one that gateways serve as /client.js.
await mkdir(DIST, { recursive: true })
for (const [name, text] of await bundle('client/client.ts', 'esm')) await writeFile(new URL(name, DIST), text)
