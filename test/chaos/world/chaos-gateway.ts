import { ServerResponse } from 'node:http'
import { shiftClock } from './shifted-clock.ts'

// A node of a campaign: the gateway as it is, with a clock that may be wrong, a bug if one is to be found, and a
// trigger: told 'announcement' or 'answer' it is killed at the next send, between COMMIT and that.
shiftClock(Number(process.env.CLOCK_SHIFT_MS ?? 0))
let armed: unknown
process.on('message', (message) => {
  armed = message
})
process.on('disconnect', () => process.exit(1))

const die = () => process.kill(process.pid, 'SIGKILL')
/** So that what was announced leaves before the end. */
const LAST_BREATH_MS = 20

const { end } = ServerResponse.prototype as { end: (...given: unknown[]) => ServerResponse }
ServerResponse.prototype.end = function (this: ServerResponse, ...given: unknown[]) {
  const isSend = armed === 'answer' && this.statusCode === 201 && /\/messages$/.test(this.req.url ?? '')
  if (!isSend) return end.apply(this, given)
  armed = undefined
  setTimeout(die, LAST_BREATH_MS)
  return this
}

const { start } = await import('../../../src/app.ts')
const { loadConfig } = await import('../../../src/config.ts')
const { plantBug } = await import('../bugs/javascript.ts')
const bug = plantBug(process.env.CHAOS_BUG)
const gateway = await start(loadConfig(process.env), {
  announce: (announce) => (announcement) => {
    if (armed === 'announcement' && announcement.body.type === 'message.created') die()
    else if (!bug.swallowsPublishes) announce(announcement)
  },
})
process.on('SIGTERM', () => void gateway.drain().then(() => process.exit(0)))
