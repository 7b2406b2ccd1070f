// A program for any runtime that has `longwave/client`. Reads what it is to do from the inbox: `send …`, `close`.
// Arguments: the module, the gateway's address, a refresh token, a conversation.
const [module, url, firstRefreshToken, conversation] = globalThis.Deno?.args ?? process.argv.slice(2)
const { connect } = await import(module)

let refreshToken = firstRefreshToken
async function getToken({ refresh }) {
  if (!refresh) return 'stale'
  const headers = { 'Content-Type': 'application/json' }
  const body = JSON.stringify({ refresh_token: refreshToken })
  const response = await fetch(`${url}/v1/sessions/refresh`, { method: 'POST', headers, body })
  const session = await response.json()
  refreshToken = session.refresh_token
  return session.access_token
}

const say = (what) => console.log(JSON.stringify(what))
const chat = connect({ url, getToken, after: '0' })
chat.on('status', ({ state, transport }) => say({ status: `${state} ${transport}` }))
chat.on('passing', ({ type }) => say({ passing: type }))
chat.on('event', async ({ id, message }) => {
  say({ event: id, text: message?.text })
  if (message?.text.startsWith('send '))
    say({ sent: (await chat.send(conversation, message.text.slice(5))).text })
  if (message?.text === 'close') chat.close()
})
