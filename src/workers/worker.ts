import { type Gateway, start } from '../app.ts'
import { WorkerBus } from '../live/worker-bus.ts'
import { StartError } from '../start-error.ts'
import type { FromWorker, Order, ToWorker } from './messages.ts'

// One of several nodes on one port, started by workers.ts; when that dies, node:cluster ends this one at once.
const GONE_WITHIN_MS = 9_500

let gateway: Gateway | undefined
const tell = (message: FromWorker, sent = () => {}) => process.send?.(message, undefined, undefined, sent)
const bus = new WorkerBus(tell)

async function serve({ config, database }: Order): Promise<void> {
  try {
    gateway = await start(config, { database, isWorker: true, ...(!config.nats && { bus }) })
    tell({ kind: 'up', url: gateway.url })
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    tell({ kind: 'failed', reason: error.message }, () => process.exit(1))
  }
}

function end(hasty: boolean): void {
  setTimeout(() => process.exit(1), GONE_WITHIN_MS).unref()
  void Promise.resolve(gateway?.drain(hasty)).then(() => process.exit(0))
}

process.on('message', (message: ToWorker) => {
  if (message.kind === 'serve') void serve(message)
  else if (message.kind === 'end') end(message.hasty)
  else bus.hear(message)
})
process.on('SIGTERM', () => end(false))
// A terminal sends it to us too, once or twice; the primary says what it means.
process.on('SIGINT', () => {})
