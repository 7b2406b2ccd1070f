import { setDefaultCACertificates } from 'node:tls'
import { parentPort, workerData } from 'node:worker_threads'
import { EndpointGuard } from './endpoint-guard.ts'
import { PushSender } from './send.ts'
import type { ThreadAnswer, ThreadRequest, ThreadSetup } from './sender-thread.ts'
import { VapidSigner } from './vapid.ts'

const { keys, rules, authorities } = workerData as ThreadSetup
setDefaultCACertificates(authorities)
const sender = new PushSender(new VapidSigner(keys), new EndpointGuard(rules))
const underWay = new Map<number, AbortController>()

const answer = (message: ThreadAnswer) => parentPort?.postMessage(message)

parentPort?.on('message', (request: ThreadRequest) => {
  const { id } = request
  if ('isGivenUp' in request) {
    underWay.get(id)?.abort()
    return
  }
  const giving = new AbortController()
  underWay.set(id, giving)
  sender
    .send(request.target, request.payload, request.options, giving.signal)
    .then(
      (outcome) => answer({ id, outcome }),
      (error: unknown) => answer({ id, error: String(error) }),
    )
    .finally(() => underWay.delete(id))
})
