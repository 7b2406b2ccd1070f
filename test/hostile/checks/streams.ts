import { Curl } from '../curl.ts'
import { AT_ONCE_MS, as, type Finding, found, type Trial } from './finding.ts'

/** Where it takes longer, what follows it does, too. */
const HELLO_MS = 1_500
/** The gateway ends the streams of a device that is signed out within 5 s. */
const SIGNED_OUT_MS = 8_000

/** A message is sent into an open stream; if it does not show, a second one; then the stream is ended. */
export async function checkStream(trial: Trial, query: string): Promise<Finding> {
  const { cursor } = (await trial.reader.poll()).body
  using curl = new Curl(trial.box, `/v1/events?${query}&after=${cursor}`, as(trial))
  await curl.shows('event: hello', HELLO_MS)
  if (curl.status !== undefined && curl.status !== 200) return found('refused', String(curl.status))
  if (curl.hasEnded) return found('cut', curl.complaint)
  const sent = performance.now()
  await trial.write('first')
  if (await curl.shows('"first"', AT_ONCE_MS)) return found('passes', performance.now() - sent)
  if (curl.hasEnded) return found('cut', curl.complaint)
  await trial.write('second')
  if (await curl.shows('"first"', HELLO_MS)) return found('one behind')
  await trial.reader.call('DELETE', '/v1/sessions/current')
  return found((await curl.shows('"second"', SIGNED_OUT_MS)) ? 'held' : 'stalls')
}

/** A slice ends 100 ms after its first event, and shows it then at the latest. */
export async function checkSlice(trial: Trial): Promise<Finding> {
  using curl = new Curl(trial.box, '/v1/events?as=octet&limit=1&after=0', as(trial))
  if (await curl.ends(AT_ONCE_MS)) {
    if (curl.status === undefined) return found('cut', curl.complaint)
    if (curl.status !== 200) return found('refused', String(curl.status))
    return curl.body.includes('conversation.created') ? found('passes', curl.age) : found('stalls')
  }
  return found(curl.body.includes('conversation.created') ? 'dropped' : 'stalls')
}

/** A stream with nothing in it but heartbeats is watched for the trial's time, then a message is sent into it. */
export async function checkSilence(trial: Trial, heartbeat: number): Promise<Finding> {
  const path = `/v1/events?as=octet&heartbeat=${heartbeat}`
  using curl = new Curl(trial.box, path, as(trial), { limitSeconds: trial.seconds + 10 })
  if (await curl.ends(trial.seconds * 1_000)) {
    if (curl.status !== undefined && curl.status !== 200) return found('refused', String(curl.status))
    return found('cut', `${(curl.age / 1_000).toFixed(1)} s`)
  }
  const wasSilent = curl.body === ''
  await trial.write('at last')
  if (await curl.shows('"at last"', AT_ONCE_MS)) return found('passes', `${trial.seconds} s`)
  return found(wasSilent ? 'held' : 'dropped')
}
