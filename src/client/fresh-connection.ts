/** Where Node keeps the pool of its `fetch`. */
const POOL = Symbol.for('undici.globalDispatcher.1')

type Pool = { constructor: new () => unknown }

/**
 * What to add to a `fetch` so that it goes over a connection of its own, where that can be said: a pooled one may be one
 * that a NAT has forgotten, on which a request hangs. Browsers ignore it; Node's `fetch` takes a pool, which is then new.
 */
export function freshConnection(): { headers: Record<string, string>; dispatcher?: unknown } {
  const headers = { Connection: 'close' }
  const pool = (globalThis as { [POOL]?: Pool })[POOL]
  // One that somebody put there, such as for a proxy, is not ours to replace.
  return pool?.constructor.name === 'Agent' ? { headers, dispatcher: new pool.constructor() } : { headers }
}
