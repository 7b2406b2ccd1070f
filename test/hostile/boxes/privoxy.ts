import type { Definition } from '../program-box.ts'

/** privoxy with its filters on: what is text is held until it is whole, to be searched. */
export const privoxy: Definition = {
  name: 'privoxy',
  kind: 'forward',
  program: 'privoxy',
  templates: ['privoxy.conf', 'privoxy.action'],
  args: () => ['--no-daemon', 'privoxy.conf'],
}
