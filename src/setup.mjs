// Runs before `npm start`, `npm test` and `npm run bench`, on whatever Node (20 or newer) the machine has and before
// any package is there: plain JavaScript without dependencies.
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installPackages } from './setup/packages.mjs'
import { installTestTools } from './setup/test-tools.mjs'

try {
  await installPackages(dirname(dirname(fileURLToPath(import.meta.url))))
  if (process.argv.includes('--tests')) installTestTools({ hostile: process.argv.includes('--hostile') })
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
