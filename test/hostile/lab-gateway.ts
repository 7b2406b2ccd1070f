import { rmSync } from 'node:fs'

// A gateway with a Postgres of its own that ends both, and removes their files, when its starter is gone in whatever way.
process.once('disconnect', () => process.kill(process.pid, 'SIGINT'))
process.once('exit', () => rmSync(process.env.DATA_DIR ?? '', { recursive: true, force: true }))
await import('../../src/main.ts')
