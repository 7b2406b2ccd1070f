import { start } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'

/** A gateway that is killed exactly between COMMIT and announcement, by the first message. */
await start(loadConfig(process.env), {
  announce: (announce) => (announcement) => {
    if (announcement.body.type === 'message.created') process.kill(process.pid, 'SIGKILL')
    else announce(announcement)
  },
})
