import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { createServer } from 'node:tls'
import type { Origin } from './box.ts'

const file = (name: string) => readFileSync(new URL(`../support/${name}`, import.meta.url))

/** The server of an http URL as an origin: it also gets an address that ends TLS in front of it (HTTP/1.1 only). */
export async function openOrigin(http: string): Promise<Origin & AsyncDisposable> {
  const { hostname, port } = new URL(http)
  const sockets = new Set<Socket>()
  const server = createServer({ cert: file('localhost.crt'), key: file('localhost.key') }, (client) => {
    const target = connect({ host: hostname, port: Number(port), noDelay: true })
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(from)
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  server.on('tlsClientError', () => {})
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    http,
    https: `https://localhost:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
