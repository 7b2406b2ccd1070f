import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Each suite runs a Postgres of its own, and waits for half of its time: two cores take three of them.
    maxWorkers: 3,
  },
})
