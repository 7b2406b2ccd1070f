import { start } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import type { SendPush } from '../../src/push/push.ts'

/**
 * A gateway that tells its parent whom it wakes, and is killed at a step of the way there: DIE_AT `commit` (nobody was told of
 * the message), `grace` (it waits in memory), `sending` (its push is under way) or `sent` (taken, but not written down).
 */
const dieAt = process.env.DIE_AT
const die = () => process.kill(process.pid, 'SIGKILL')

const send: SendPush = async (target) => {
  if (dieAt === 'sending') die()
  process.send?.(target.user_id)
  // What was written to the channel is on its way before the end.
  if (dieAt === 'sent') setImmediate(die)
  await new Promise((resolve) => setTimeout(resolve, dieAt === 'sent' ? 1_000 : 0))
  return { type: 'accepted' }
}

await start(loadConfig(process.env), {
  leaseMs: Number(process.env.LEASE_MS),
  push: {
    send,
    graceMs: Number(process.env.GRACE_MS),
    staleMs: Number(process.env.STALE_MS),
    expireSeconds: Number(process.env.EXPIRE_SECONDS),
  },
  announce: (announce) => (announcement) => {
    if (dieAt === 'commit' && announcement.body.type === 'message.created') die()
    announce(announcement)
    if (dieAt === 'grace' && announcement.body.type === 'message.created') setTimeout(die, 50)
  },
})
