import type { Definition } from '../program-box.ts'

/** haproxy with the 30 s of many examples, and compression. */
export const haproxy: Definition = {
  name: 'haproxy',
  kind: 'reverse',
  program: 'haproxy',
  templates: ['haproxy.cfg'],
  args: () => ['-db', '-f', 'haproxy.cfg'],
}
