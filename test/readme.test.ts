import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { ADMIN_TOKEN } from './support/back-end.ts'
import { useGateway } from './support/suite.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const run = promisify(execFile)

const { gateway } = useGateway({ adminToken: ADMIN_TOKEN })

/** The commands of a section, word for word but for the address. */
function commandsOf(section: string): string[] {
  const text = README.split('\n## ').find((each) => each.startsWith(section)) ?? ''
  return [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, commands = '']) =>
    commands.replace('http://127.0.0.1:8080', gateway.url),
  )
}

test('the commands of the README work as they stand', async () => {
  const [setUp = '', listen = '', send = '', longPoll = ''] = commandsOf('With curl')
  const script = [
    setUp,
    'heard=$(mktemp)',
    `${listen.trim()} > "$heard" &`,
    'listener=$!',
    // The listener is there when it has said hello.
    'until grep -q "event: heartbeat" "$heard"; do sleep 0.05; done',
    `first=$(${send.trim()})`,
    `second=$(${send.trim()})`,
    'until grep -q message.created "$heard"; do sleep 0.05; done',
    `polled=$(${longPoll.trim()})`,
    'kill $listener',
    'echo "$first" | json .text; echo "$first" | json .id; echo "$second" | json .id; echo "$polled" | json .events.length',
    'grep -c message.created "$heard"; rm "$heard"',
  ]
  const { stdout } = await run('bash', ['-c', script.join('\n')], { timeout: 25_000 })
  const [text, id, again, polled, heard] = stdout.trim().split('\n')
  expect([text, again, polled, heard]).toEqual(['Hello Ben', id, '2', '1'])
})

test('so do those of a back end', async () => {
  const env = { ...process.env, ADMIN_TOKEN }
  const [script = ''] = commandsOf('For your back end')
  const { stdout } = await run('bash', ['-c', script.replaceAll(/^admin .*$/gm, '$&\necho')], { env })
  const [anna, ben, group, session, broadcast] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect([anna.id, ben.display_name, group.members_count]).toEqual(['crm-42', 'Ben', 2])
  expect([session.user.id, broadcast.text]).toEqual(['crm-42', 'Down at noon for an hour'])
})
