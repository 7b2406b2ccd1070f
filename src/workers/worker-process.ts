import cluster from 'node:cluster'
import { Outlet, type Told } from '../live/worker-bus.ts'
import { StartError } from '../start-error.ts'
import type { FromWorker, Order, ToWorker } from './messages.ts'
import { endUntakenConnections } from './untaken-connections.ts'

/** A worker as the primary sees it. */
export class WorkerProcess {
  /** Resolves with where it listens; rejects with StartError when it ends before. */
  readonly up: Promise<string>
  /** Resolves with how it ended, in words. */
  readonly ended: Promise<string>
  readonly #worker = cluster.fork()
  readonly #outlet = new Outlet((message, sent) => this.#send(message, sent))
  #failure: string | undefined

  /** Forks; `onTold` is called with what it has for the other workers. */
  constructor(order: Order, onTold: (message: Told) => void) {
    const up = Promise.withResolvers<string>()
    const ended = Promise.withResolvers<string>()
    this.up = up.promise
    this.up.catch(() => {})
    this.ended = ended.promise
    const end = (how: string) => {
      up.reject(new StartError(this.#failure ?? `A worker could not start: ${how}`))
      ended.resolve(this.#failure ?? how)
    }
    endUntakenConnections(this.#worker.process)
    this.#worker.on('message', (message: FromWorker) => {
      if (message.kind === 'up') up.resolve(message.url)
      else if (message.kind === 'failed') this.#failure = message.reason
      else onTold(message)
    })
    this.#worker.on('exit', (code, signal) => end(signal ?? `exit code ${code}`))
    // Also when a message did not reach it, which its end explains; without a pid there will be no other end.
    this.#worker.on('error', (error) => {
      if (this.pid === undefined) end(error.message)
    })
    this.#send({ kind: 'serve', ...order })
  }

  get pid(): number | undefined {
    return this.#worker.process.pid
  }

  /** Passes on what another worker told. */
  hear(message: Told): void {
    this.#outlet.tell(message)
  }

  /** Lets it drain. */
  end(hasty: boolean): void {
    this.#send({ kind: 'end', hasty })
  }

  /** Ends it at once. */
  kill(): void {
    this.#worker.process.kill('SIGKILL')
  }

  #send(message: ToWorker, sent = () => {}): void {
    this.#worker.process.send(message, undefined, undefined, sent)
  }
}
