import { expect, test } from 'vitest'
import { newSend } from '../src/http/messages.ts'
import { Committer } from '../src/store/committer.ts'
import { Database } from '../src/store/database.ts'
import { HeldTransaction } from './support/held-transaction.ts'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'

const { postgres, gateway } = useGateway()

test('P3 a lock that is let go between two commits: of a batch in both, the second part does not go ahead', async () => {
  const alice = await Person.signUp(gateway.url)
  const bob = await Person.signUp(gateway.url)
  const [locked, free] = [await alice.direct(bob), await alice.group([bob])]
  await using database = new Database({ url: postgres.url })
  const committing = database.connect('one that gives up on locks', 1, { lock_timeout: 500 })
  const committer = new Committer(
    committing,
    () => {},
    () => {},
  )
  await using held = new HeldTransaction(
    postgres.url,
    (tx) => tx`SELECT FROM conversations WHERE id = ${locked} FOR UPDATE`,
  )
  await held.held

  // A commit takes 512: these, and the first twelve of the batch.
  const others = Array.from({ length: 500 }, (_, n) =>
    committer.commit(newSend(alice.id, free, { text: `${n}` }, `free-${n}`)),
  )
  const commitBatch = () => {
    const sends = Array.from({ length: 30 }, (_, n) =>
      newSend(alice.id, locked, { text: `${n}` }, `locked-${n}`),
    )
    return Promise.allSettled(sends.map((send, n) => committer.commit(send, sends[n - 1])))
  }
  const batch = commitBatch()
  await Promise.all(others)
  await held.commit()

  expect(new Set((await batch).map(({ status }) => status))).toEqual(new Set(['rejected']))
  const seqs = (await commitBatch()).map((each) => each.status === 'fulfilled' && each.value.message.seq)
  expect(seqs).toEqual(Array.from({ length: 30 }, (_, n) => n + 1))
  await committing.end()
})
