import type { Finding, Trial } from './finding.ts'
import { checkQuietPoll, checkReleasedPoll } from './polls.ts'
import { checkChunkedPost, checkKeepAlive, checkLargePost, checkPost } from './posts.ts'
import { checkSilence, checkSlice, checkStream } from './streams.ts'

type Check = (trial: Trial) => Promise<Finding>

/** What is tried through each box, by the columns of the matrix: these one after the other, to be quick … */
const quickChecks = {
  sse: (trial) => checkStream(trial, 'as=sse'),
  octet: (trial) => checkStream(trial, 'as=octet'),
  slices: checkSlice,
  poll: checkReleasedPoll,
  POST: checkPost,
  'POST chunked': checkChunkedPost,
  // Last, as it fills the buffer of a slow line.
  'POST 1.2 MB': checkLargePost,
} satisfies Record<string, Check>

/** … and before that these, beside each other: they wait. */
export const patientChecks = {
  'poll 25 s': checkQuietPoll,
  'silent 15 s': (trial) => checkSilence(trial, 15),
  'silent 50 s': (trial) => checkSilence(trial, 50),
  'keep-alive': checkKeepAlive,
} satisfies Record<string, Check>

export const checks: Readonly<Record<string, Check>> = { ...quickChecks, ...patientChecks }
