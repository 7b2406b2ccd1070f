import { hearWorker, openClicked } from '../client/hear-worker.ts'
import { takeNotice } from './account.ts'
import { ChatPage } from './chat.ts'
import { find, setText } from './dom.ts'
import { endNotifications } from './notifications.ts'
import { whoAmI } from './session.ts'
import { signIn } from './sign-in.ts'

// First of all: a click may come while the page still loads.
hearWorker(openClicked)
const starting = find('starting', HTMLElement)
const known = await whoAmI((error) => setText(starting, `${error.message} Trying again…`))
starting.hidden = true
// A session that ended without a word must not leave its notifications to whoever signs in next.
if (!known) void endNotifications()
const user = known ?? (await signIn(takeNotice()))
await new ChatPage(user).start()
