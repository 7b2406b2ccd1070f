import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GatewayProcess } from '../support/gateway-process.ts'

const SCRIPT = fileURLToPath(new URL('lab-gateway.ts', import.meta.url))

/** A gateway in a process of its own, so that the lab's work is not in its lags; its Postgres and files go with it. */
export async function startLabServer(): Promise<{ url: string } & AsyncDisposable> {
  await using onFailure = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'longwave-lab-server-'))
  onFailure.defer(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755) // else root's Postgres cannot enter, lives elsewhere, and outlasts the lab
  const gateway = new GatewayProcess({ DATA_DIR: folder }, SCRIPT)
  onFailure.defer(async () => {
    await gateway.kill('SIGINT')
  })
  const url = await gateway.url()
  const all = onFailure.move()
  return { url, [Symbol.asyncDispose]: () => all.disposeAsync() }
}
