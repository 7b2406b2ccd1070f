import { fork } from 'node:child_process'
import { once } from 'node:events'

/** What a load process can be asked to do. Arguments and answers are copied from process to process. */
export type Tasks = Record<string, (argument: never) => unknown>

type Request = { id: number; task: string; argument: unknown }
type Answer = { id: number; value?: unknown; error?: string }

/** A load process: load is made beside the bench, so that its CPU time can be told apart. */
export type Worker<T extends Tasks> = AsyncDisposable & {
  pid: number
  ask<K extends keyof T & string>(task: K, argument: Parameters<T[K]>[0]): Promise<Awaited<ReturnType<T[K]>>>
}

/** Starts a module that calls `serveTasks`. */
export function startWorker<T extends Tasks>(module: URL): Worker<T> {
  const child = fork(module, {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    serialization: 'advanced',
  })
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let lastId = 0
  child.on('message', (message) => {
    const { id, value, error } = message as Answer
    const asked = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) asked?.resolve(value)
    else asked?.reject(new Error(error))
  })
  child.once('exit', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`a load process ended with ${code}`))
  })
  return {
    pid: child.pid ?? 0,
    ask(task, argument) {
      return new Promise((resolve, reject) => {
        lastId += 1
        waiting.set(lastId, { resolve: resolve as (value: unknown) => void, reject })
        child.send({ id: lastId, task, argument } satisfies Request)
      })
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** In a load process: does what it is asked, until nobody can ask any more. */
export function serveTasks(tasks: Tasks): void {
  process.on('message', (message) => {
    const { id, task, argument } = message as Request
    Promise.resolve(tasks[task]?.(argument as never)).then(
      (value) => process.send?.({ id, value } satisfies Answer),
      (error: unknown) => process.send?.({ id, error: String(error) } satisfies Answer),
    )
  })
  process.on('disconnect', () => process.exit())
}
