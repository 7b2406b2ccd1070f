import type { Box } from './box.ts'
import { apache, http10 } from './boxes/apache.ts'
import { cutter } from './boxes/cutter.ts'
import { haproxy } from './boxes/haproxy.ts'
import { mitmproxy } from './boxes/mitmproxy.ts'
import { nat } from './boxes/nat.ts'
import { nginx, nginxBuffering, nginxFirewall } from './boxes/nginx.ts'
import { privoxy } from './boxes/privoxy.ts'
import { slowLink } from './boxes/slow-link.ts'
import { squid, squidRules, squidScanner } from './boxes/squid.ts'
import { tinyproxy } from './boxes/tinyproxy.ts'
import { varnish } from './boxes/varnish.ts'
import { type Definition, ProgramBox } from './program-box.ts'
import { RelayBox, type Wire } from './relay-box.ts'

const definitions: readonly Definition[] = [
  ...[nginx, nginxBuffering, nginxFirewall, haproxy, varnish, apache, http10],
  ...[squid, squidRules, squidScanner, privoxy, mitmproxy, tinyproxy],
]

const wires: Readonly<Record<string, Wire>> = { nat, cutter, 'slow-link': slowLink }

/** The names of all boxes of the lab. */
export const boxNames: readonly string[] = [...definitions.map(({ name }) => name), ...Object.keys(wires)]

/** A new box of that name, not started yet. Throws, with the names there are, at one that is not known. */
export function makeBox(name: string): Box {
  const definition = definitions.find((each) => each.name === name)
  if (definition) return new ProgramBox(definition)
  const wire = wires[name]
  if (wire) return new RelayBox(name, wire)
  throw new Error(`there is no box "${name}", but ${boxNames.join(', ')}`)
}
