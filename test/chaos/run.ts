import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { check } from './checker/check.ts'
import { keepHistory } from './history/keep.ts'
import { report } from './report.ts'
import { runCampaign } from './run-campaign.ts'
import { LARGE } from './sizes.ts'
import { World } from './world/world.ts'

const { values } = parseArgs({
  options: { seed: { type: 'string' }, seconds: { type: 'string', default: '120' } },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const seconds = Number(values.seconds)
if (!Number.isSafeInteger(seed) || !(seconds > 0)) {
  console.error('usage: npm run chaos -- --seed 1 --seconds 120')
  process.exit(2)
}
console.log(`seed         ${seed}, ${seconds} s of faults`)
const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => interruption.abort(new Error(`ended by ${signal}`)))
}

/** Returns whether every promise was kept. */
async function run(): Promise<boolean> {
  await using world = await World.start(LARGE.world)
  interruption.signal.throwIfAborted()
  const { signal } = interruption
  const history = await runCampaign(world, {
    ...LARGE.campaign,
    seed,
    seconds,
    signal,
    progress: console.log,
  })
  const verdict = check(history)
  console.log(report(history, verdict))
  if (verdict.violations.length === 0) return true
  const folder = await mkdtemp(join(tmpdir(), `longwave-chaos-seed-${seed}-`))
  await keepHistory(folder, history, verdict.violations)
  for (const node of world.nodes) await writeFile(join(folder, `${node.name}.log`), node.log)
  console.log(`kept         ${folder}; again: npm run chaos -- --seed ${seed} --seconds ${seconds}`)
  return false
}

const isGood = await run().catch((error: Error) => console.error(error.stack))
process.exit(isGood ? 0 : 1)
