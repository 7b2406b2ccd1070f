import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { checks } from './checks/checks.ts'
import { expedition } from './expedition.ts'
import { deviations } from './known.ts'
import { boxNames } from './lab.ts'
import { startLabServer } from './lab-server.ts'
import { openOrigin } from './origin.ts'
import { picture } from './picture.ts'
import { findingsTable, journeysTable, matrixTable } from './report.ts'
import { travellers } from './travellers/travellers.ts'

const USAGE = `usage: npm run hostile -- [box …] [--seconds 70] [--messages 200] [--out matrix.md] [--picture matrix.svg]
                      [--checks a,b] [--travellers a,b]        "" for none, all if left out
boxes       ${boxNames.join(', ')}
checks      ${Object.keys(checks).join(', ')}
travellers  ${Object.keys(travellers).join(', ')}
--seconds   how long a silent stream and connection are watched; a journey pauses for as long, but not over 40`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '70' },
    messages: { type: 'string', default: '200' },
    checks: { type: 'string', default: Object.keys(checks).join() },
    travellers: { type: 'string', default: Object.keys(travellers).join() },
    out: { type: 'string' },
    picture: { type: 'string' },
  },
})
const list = (text: string) => text.split(',').filter((each) => each !== '')
const order = {
  boxes: positionals.length > 0 ? positionals : boxNames,
  checks: list(values.checks),
  travellers: list(values.travellers),
  seconds: Number(values.seconds),
  messages: Number(values.messages),
  progress: console.log,
}
const isKnown =
  order.boxes.every((name) => boxNames.includes(name)) &&
  order.checks.every((name) => name in checks) &&
  order.travellers.every((name) => name in travellers)
if (!isKnown || !(order.seconds > 0) || !(order.messages > 0)) {
  console.error(USAGE)
  process.exit(2)
}

const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => reject(new Error(`ended by ${signal}`)))
  }
})

/** Returns whether every box does what it is known for. */
async function run(): Promise<boolean> {
  await using server = await startLabServer()
  await using origin = await openOrigin(server.url)
  const { findings, journeys, failures } = await Promise.race([expedition(origin, order), interrupted])
  const tables = [
    ...(order.checks.length > 0 ? [findingsTable(order.boxes, order.checks, findings)] : []),
    ...(order.travellers.length > 0
      ? [
          matrixTable(order.boxes, order.travellers, journeys),
          journeysTable(order.boxes, order.travellers, journeys),
        ]
      : []),
  ]
  const strange = [...findings].flatMap(([box, its]) => deviations(box, its))
  console.log(['', ...tables, ...failures, ...strange].join('\n\n'))
  if (values.out !== undefined) await writeFile(values.out, `${tables.join('\n\n')}\n`)
  if (values.picture !== undefined)
    await writeFile(values.picture, picture(order.boxes, order.travellers, journeys))
  return failures.length === 0 && strange.length === 0
}

const isGood = await run().catch((error: Error) => console.error(error.stack))
process.exit(isGood ? 0 : 1)
