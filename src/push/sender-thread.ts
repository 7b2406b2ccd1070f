import { getCACertificates } from 'node:tls'
import { Worker } from 'node:worker_threads'
import { Gatherer } from '../gatherer.ts'
import type { EndpointRules } from './endpoint-guard.ts'
import type { PushOptions, PushOutcome, PushPayload, PushTarget, SendPush } from './push.ts'
import type { VapidKeys } from './vapid.ts'

/** What the thread is started with; it trusts whom this one trusts. */
export type ThreadSetup = { keys: VapidKeys; rules: EndpointRules; authorities: string[] }

/** A push to be sent, or one to be given up; lists of them go to the thread, and lists of answers come back. */
export type ThreadRequest =
  | { id: number; target: PushTarget; payload: PushPayload; options: PushOptions }
  | { id: number; isGivenUp: true }

export type ThreadAnswer = { id: number } & ({ outcome: PushOutcome } | { error: string })

const GIVEN_UP: PushOutcome = { type: 'retry', afterMs: undefined, reason: 'given up' }

type Thread = { worker: Worker; requests: Gatherer<ThreadRequest>; waiters: Map<number, Waiter> }
type Waiter = { resolve(outcome: PushOutcome): void; reject(error: Error): void }

/**
 * Sends pushes in a thread of their own: encrypting one takes as long as answering several requests, and ten thousand that
 * are due at once must not stand in the way of those. The thread is there from start() or the first push on.
 */
export class SenderThread implements AsyncDisposable {
  readonly #keys: VapidKeys
  readonly #rules: EndpointRules
  #thread: Thread | undefined
  #lastId = 0

  constructor(keys: VapidKeys, rules: EndpointRules) {
    this.#keys = keys
    this.#rules = rules
  }

  /** Begins to start the thread, which takes a second on a busy machine: longer than what is known of a push is believed. */
  start(): void {
    this.#started()
  }

  /** As PushSender sends. Rejects if the thread dies; the next push starts another one. */
  readonly send: SendPush = async (target, payload, options, signal) => {
    if (signal.aborted) return GIVEN_UP
    const { requests, waiters } = this.#started()
    this.#lastId += 1
    const id = this.#lastId
    const giveUp = () => requests.add({ id, isGivenUp: true })
    signal.addEventListener('abort', giveUp)
    try {
      return await new Promise<PushOutcome>((resolve, reject) => {
        waiters.set(id, { resolve, reject })
        requests.add({ id, target, payload, options })
      })
    } finally {
      waiters.delete(id)
      signal.removeEventListener('abort', giveUp)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread?.worker.terminate()
  }

  #started(): Thread {
    if (this.#thread) return this.#thread
    const { allowedHosts, allowPrivate } = this.#rules
    const workerData: ThreadSetup = {
      keys: this.#keys,
      rules: { allowedHosts, allowPrivate },
      authorities: getCACertificates('default'),
    }
    const worker = new Worker(new URL('./sender-worker.ts', import.meta.url), { workerData })
    const requests = new Gatherer<ThreadRequest>((list) => worker.postMessage(list))
    const waiters: Thread['waiters'] = new Map()
    const thread = { worker, requests, waiters }
    this.#thread = thread
    const end = (error: Error) => {
      if (this.#thread === thread) this.#thread = undefined
      for (const { reject } of waiters.values()) reject(error)
    }
    worker.on('message', (answers: ThreadAnswer[]) => {
      for (const answer of answers) {
        const waiter = waiters.get(answer.id)
        if ('outcome' in answer) waiter?.resolve(answer.outcome)
        else waiter?.reject(new Error(answer.error))
      }
    })
    worker.on('error', end)
    worker.on('exit', () => end(new Error('the thread that sends pushes has ended')))
    // Nobody waits for a push to end the process.
    worker.unref()
    return thread
  }
}
