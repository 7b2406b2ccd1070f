import type { Definition } from '../program-box.ts'

/** mitmproxy as it starts: an answer is passed on when it is whole. */
export const mitmproxy: Definition = {
  name: 'mitmproxy',
  kind: 'forward',
  program: 'mitmdump',
  templates: [],
  args: ({ folder, port }) => ['-q', '--listen-host', '127.0.0.1', '-p', port, '--set', `confdir=${folder}`],
}
