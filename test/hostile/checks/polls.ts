import { Curl } from '../curl.ts'
import { AT_ONCE_MS, as, type Finding, found, type Trial } from './finding.ts'

const WAIT_S = 25

/** A long-poll of 25 s in which nothing happens. */
export async function checkQuietPoll(trial: Trial): Promise<Finding> {
  const { cursor } = (await trial.reader.poll()).body
  using curl = new Curl(trial.box, `/v1/events?as=poll&wait=${WAIT_S}&after=${cursor}`, as(trial))
  await curl.ends((WAIT_S + 10) * 1_000)
  return answered(curl, cursor, `${(curl.age / 1_000).toFixed(1)} s`)
}

/** A long-poll that a message ends. */
export async function checkReleasedPoll(trial: Trial): Promise<Finding> {
  const { cursor } = (await trial.reader.poll()).body
  using curl = new Curl(trial.box, `/v1/events?as=poll&wait=${WAIT_S}&after=${cursor}`, as(trial))
  // Nothing shows that it is parked, so it is given a moment to be.
  await curl.ends(1_500)
  const sent = performance.now()
  await trial.write('news')
  await curl.ends(AT_ONCE_MS)
  return answered(curl, '"news"', performance.now() - sent)
}

function answered(curl: Curl, part: string, measure: string | number): Finding {
  if (!curl.hasEnded) return found('stalls')
  if (curl.status !== 200) return found(curl.status ? 'refused' : 'cut', String(curl.status ?? measure))
  return curl.body.includes(part) ? found('passes', measure) : found('stalls')
}
