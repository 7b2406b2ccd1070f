import { createContext, runInContext } from 'node:vm'

/**
 * Runs a script in a context that has what React Native's older Hermes has, and no more: the language, timers,
 * `performance.now`, a `fetch` without streams (whatwg-fetch over XMLHttpRequest), an AbortController without the
 * newer methods. Returns the context's global object.
 */
export function runInReactNative(script: string, more: object = {}): Record<string, unknown> {
  const context = createContext({
    setTimeout,
    clearTimeout,
    setInterval,
    clearInterval,
    setImmediate,
    console,
    performance: { now: () => performance.now() },
    navigator: { product: 'ReactNative' },
    fetch: fetchAsThere,
    Response: ResponseOfXhr,
    Headers,
    AbortController: PlainAbortController,
    AbortSignal: PlainAbortSignal,
    ...more,
  }) as Record<string, unknown>
  context.window = context
  context.global = context
  runInContext(script, context)
  return context
}

/** An answer is there when it is whole, as a text. */
class ResponseOfXhr {
  readonly status: number
  readonly ok: boolean
  readonly headers: Headers
  readonly #text: string

  constructor(text: string, { status, ok, headers }: Response) {
    this.#text = text
    this.status = status
    this.ok = ok
    this.headers = headers
  }

  async text(): Promise<string> {
    return this.#text
  }

  async json(): Promise<unknown> {
    return JSON.parse(this.#text)
  }
}

type InitAsThere = RequestInit & { signal?: unknown }

async function fetchAsThere(url: string, { signal, ...init }: InitAsThere = {}): Promise<ResponseOfXhr> {
  const aborted = new AbortController()
  if (signal instanceof PlainAbortSignal) {
    if (signal.aborted) throw new Error('AbortError')
    signal.addEventListener('abort', () => aborted.abort())
  }
  const response = await fetch(url, { ...init, signal: aborted.signal })
  return new ResponseOfXhr(await response.text(), response)
}

/** That of the package abort-controller: no `throwIfAborted`, no `reason`, no `any`, no `timeout`. */
class PlainAbortSignal {
  aborted = false
  readonly #listeners = new Set<() => void>()

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener)
  }

  abort(): void {
    if (this.aborted) return
    this.aborted = true
    for (const listener of this.#listeners) listener()
  }
}

class PlainAbortController {
  readonly signal = new PlainAbortSignal()

  abort(): void {
    this.signal.abort()
  }
}
