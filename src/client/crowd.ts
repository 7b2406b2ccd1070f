import { pause } from './pause.ts'

/** So many tabs may hold a connection each: browsers have six for one host, and requests need some, too. */
const CROWD = 3
const ANSWER_MS = 150

/** Where tabs cannot elect one of them (plain http): whether there are enough others here that this one should only poll. */
export async function isCrowded(name: string, signal: AbortSignal): Promise<boolean> {
  if (!globalThis.document || typeof BroadcastChannel !== 'function') return false
  const channel = new BroadcastChannel(name)
  signal.addEventListener('abort', () => channel.close())
  let others = 0
  channel.onmessage = ({ data }) => {
    if (data === 'who') channel.postMessage('here')
    else others += 1
  }
  channel.postMessage('who')
  await pause(ANSWER_MS, signal)
  return others >= CROWD
}
