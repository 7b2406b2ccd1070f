import { setTimeout as pause } from 'node:timers/promises'
import type { Recorder } from '../history/recorder.ts'
import type { Random } from '../random.ts'
import type { HttpAnswer, HttpClient } from './http-client.ts'

/** Where a client finds a node: for requests of all kinds, and for sends. */
export type Address = { readonly url: string; readonly sendUrl: string }

/** What everybody who takes part in a campaign shares. */
export class Campaign {
  readonly recorder: Recorder
  readonly http: HttpClient
  readonly random: Random
  /** Ends when nobody begins anything new any more. */
  readonly running: AbortSignal
  /** Ends when nobody waits for answers any more. */
  readonly patience: AbortSignal
  readonly #addresses: readonly Address[]

  constructor(
    parts: { recorder: Recorder; http: HttpClient; random: Random; addresses: readonly Address[] },
    running: AbortSignal,
    patience: AbortSignal,
  ) {
    this.recorder = parts.recorder
    this.http = parts.http
    this.random = parts.random
    this.#addresses = parts.addresses
    this.running = running
    this.patience = patience
  }

  get nodeCount(): number {
    return this.#addresses.length
  }

  addressOf(node: number, isSend = false): string {
    const address = this.#addresses[node]
    if (!address) throw new Error(`there is no node ${node}`)
    return isSend ? address.sendUrl : address.url
  }

  /** Any node but this one, if there is another. */
  otherNode(node: number, random = this.random): number {
    const { nodeCount } = this
    return nodeCount === 1 ? node : (node + 1 + random.below(nodeCount - 1)) % nodeCount
  }

  pause(ms: number): Promise<void> {
    return pause(ms)
  }

  /** What no answer may be, whatever was asked and whatever is broken. */
  judgeAnswer({ status, headers, body }: HttpAnswer, what: string): void {
    const text = JSON.stringify(body)
    if (status >= 500 && status !== 503) this.recorder.anomaly(`answered ${status}`, `${what}: ${text}`)
    if (status === 503 && !/^\d+$/.test(headers['retry-after'] ?? '')) {
      this.recorder.anomaly('503 without Retry-After', `${what}: ${text}`)
    }
    if (status === 400 || status === 403 || status === 413 || status === 415) {
      this.recorder.anomaly(`answered ${status}`, `${what}: ${text}`)
    }
  }
}
