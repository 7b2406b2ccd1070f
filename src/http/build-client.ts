import { mkdir, writeFile } from 'node:fs/promises'
import { bundle } from './bundle.ts'

const DIST = new URL('../../dist/', import.meta.url)

// `npm run build:client`: the package's module is the one that gateways serve as /client.js.
await mkdir(DIST, { recursive: true })
await writeFile(new URL('client.js', DIST), await bundle('client/client.ts'))
