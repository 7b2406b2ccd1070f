import { aNode, type Fault, nodeOf, type Place } from './fault.ts'

const postgres = (): Place[] => ['postgres']

/** What may happen to Postgres, and to the way there. */
export const POSTGRES_FAULTS: Record<string, Fault> = {
  'Postgres restarted': {
    cards: 2,
    kills: 1,
    places: postgres,
    async run({ world, random, healed }) {
      await world.postgres.restart(random.between(0, 3_000), healed)
    },
  },
  'Postgres failed over': {
    cards: 1,
    kills: 1,
    needs: 'standby',
    places: postgres,
    async run({ world, healed }) {
      await world.postgres.failOver()
      world.followPrimary()
      healed()
      await world.postgres.addStandby('synchronous')
      await world.postgres.clearRetired()
    },
  },
  'standby restarted': {
    cards: 1,
    kills: 1,
    needs: 'standby',
    places: postgres,
    async run({ world, random, hold, healed }) {
      // No commit is answered meanwhile, as none is safe.
      await world.postgres.stopStandby()
      await hold(random.between(500, 6_000))
      await world.postgres.restartStandby()
      healed()
    },
  },
  'node cut off from Postgres': {
    cards: 1,
    kills: 0,
    places: aNode,
    async run({ world, random, hold }, index) {
      const { toPostgres } = nodeOf(world, index)
      toPostgres.cut()
      await hold(random.between(500, 4_000))
      toPostgres.restore()
    },
  },
  'packets between node and Postgres dropped': {
    cards: 2,
    kills: 0,
    places: aNode,
    async run({ world, random, hold }, index) {
      const { toPostgres } = nodeOf(world, index)
      toPostgres.hang()
      await hold(random.between(2_000, 12_000))
      toPostgres.restore()
    },
  },
}
