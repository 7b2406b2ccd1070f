import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { check } from './checker/check.ts'
import { keepHistory } from './history/keep.ts'
import { countOf, report } from './report.ts'
import { runCampaign } from './run-campaign.ts'
import { SMALL } from './sizes.ts'
import { World } from './world/world.ts'

/** The same every time; other seeds: `npm run chaos -- --seed N --seconds S`. */
const SEED = 10
const SECONDS = 45

test('P1 to P7 hold while everything dies', { timeout: 240_000 }, async () => {
  await using world = await World.start(SMALL.world)
  const history = await runCampaign(world, { ...SMALL.campaign, seed: SEED, seconds: SECONDS })
  const verdict = check(history)
  console.log(`seed ${SEED}, ${SECONDS} s of faults\n${report(history, verdict)}`)
  if (verdict.violations.length > 0) {
    const folder = await mkdtemp(join(tmpdir(), `longwave-chaos-seed-${SEED}-`))
    await keepHistory(folder, history, verdict.violations)
    for (const node of world.nodes) await writeFile(join(folder, `${node.name}.log`), node.log)
    console.log(`kept in ${folder}`)
  }
  expect(verdict.violations).toEqual([])
  const { ok, deliveries, kills } = countOf(history)
  expect(ok).toBeGreaterThan(1_000)
  expect(deliveries).toBeGreaterThan(10_000)
  expect(kills).toBeGreaterThan(3)
  expect(new Set(history.faults.map((fault) => fault.kind)).size).toBeGreaterThan(5)
})
