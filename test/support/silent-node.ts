import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a node looks like that dies at each send: ready, and closing the connection instead of answering. */
export async function startSilentNode() {
  const node = {
    url: '',
    swallowed: 0,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.end('{}')
      return
    }
    node.swallowed += 1
    request.socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  node.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return node
}
