import { start } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'

/**
 * A gateway that is killed at a step of the way to a push: DIE_AT `commit` (nobody was told of the message), `grace` (it
 * waits in memory) or `sending` (it is due, and about to be sent). TIMES are those of push, as JSON.
 */
const { DIE_AT: dieAt, TIMES = '{}' } = process.env
const die = () => process.kill(process.pid, 'SIGKILL')

const { graceMs, leaseMs, ...times } = JSON.parse(TIMES)
const config = loadConfig(process.env)
const dead = new Promise<never>(() => {})
await start(
  { ...config, push: { ...config.push, graceMs } },
  {
    leaseMs,
    push: { ...times, ...(dieAt === 'sending' && { send: () => die() && dead }) },
    announce: (announce) => (announcement) => {
      const isMessage = announcement.body.type === 'message.created'
      if (dieAt === 'commit' && isMessage) die()
      announce(announcement)
      if (dieAt === 'grace' && isMessage) setTimeout(die, 50)
    },
  },
)
