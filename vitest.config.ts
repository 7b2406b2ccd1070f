import { defineConfig } from 'vitest/config'

/** Nodes that must be gone or back in time, or keep both cores busy: beside several other suites their times would be the machine's. */
const EXACT = [
  ...['chaos/**/*', 'database', 'draining', 'embedded-postgres*', 'faults', 'load-balancers', 'nats'],
  ...['presence', 'promises', 'push-nodes', 'rolling', 'workers', 'workers-ending'],
].map((name) => `test/${name}.test.ts`)

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Each suite runs a Postgres of its own, and most wait for half of their time.
    projects: [
      {
        extends: true,
        test: {
          name: 'exact',
          include: EXACT,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'others',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: EXACT,
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
