import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the range from which systems draw ports for connections and for those who ask for any. */
const FIRST = 20_000
const COUNT = 12_000

/**
 * A port for a server that goes and comes back to it: nobody is given it meanwhile, as would happen to one of the
 * system's own choice. Clients would then talk to a stranger.
 */
export async function stablePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]).catch(() => false)
    server.close()
    if (isFree) return port
  }
}
