import { Seldom } from '../seldom.ts'

/** The same alarm is not raised more often, and of so many services in that time. */
const EVERY_MS = 60_000
const MAX_SERVICES = 32

const REFUSED = 'The push service refuses our keys.'
const ADVICE = 'Check that VAPID_PUBLIC_KEY and VAPID_PRIVATE_KEY are those that browsers subscribed with'

type Log = { error(about: { service: string; reason: string }, message: string): void }

/**
 * Raises alarms about push services that refuse our keys. Anybody can register an endpoint that does: so those that never
 * took a push share one alarm, which still is raised if our keys are wrong and all refuse them.
 */
export function keyAlarms(log: Log): (service: string, reason: string, isKnown: boolean) => void {
  const known = new Seldom(EVERY_MS, MAX_SERVICES)
  const strangers = new Seldom(EVERY_MS)
  return (service, reason, isKnown) => {
    if (isKnown ? !known.admits(service) : !strangers.admits('')) return
    const doubt = isKnown ? '' : ', unless others take them: this one never did since the start'
    log.error({ service, reason }, `${REFUSED} ${ADVICE}${doubt}`)
  }
}
