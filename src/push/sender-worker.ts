import { setDefaultCACertificates } from 'node:tls'
import { parentPort, workerData } from 'node:worker_threads'
import { Gatherer } from '../gatherer.ts'
import { EndpointGuard } from './endpoint-guard.ts'
import { PushSender } from './send.ts'
import type { ThreadAnswer, ThreadRequest, ThreadSetup } from './sender-thread.ts'
import { VapidSigner } from './vapid.ts'

const { keys, rules, authorities } = workerData as ThreadSetup
setDefaultCACertificates(authorities)
const sender = new PushSender(new VapidSigner(keys), new EndpointGuard(rules))
// In Node's crypto, to look whether a key is bytes throws and catches an error: its stack would cost a twelfth of a push.
Error.stackTraceLimit = 0
const underWay = new Map<number, AbortController>()

const answers = new Gatherer<ThreadAnswer>((list) => parentPort?.postMessage(list))

parentPort?.on('message', (requests: ThreadRequest[]) => requests.forEach(handle))

function handle(request: ThreadRequest): void {
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
      (outcome) => answers.add({ id, outcome }),
      (error: unknown) => answers.add({ id, error: String(error) }),
    )
    .finally(() => underWay.delete(id))
}
