/** Where a client keeps what must survive a reload: small texts under names. */
export type ClientStorage = {
  get(name: string): Promise<string | undefined>
  set(name: string, value: string): Promise<void>
  remove(name: string): Promise<void>
  /** The names that begin like this. */
  names(prefix: string): Promise<string[]>
}

/** As long as the process or the page lives. */
export function memoryStorage(): ClientStorage {
  const values = new Map<string, string>()
  return {
    get: async (name) => values.get(name),
    set: async (name, value) => void values.set(name, value),
    remove: async (name) => void values.delete(name),
    names: async (prefix) => [...values.keys()].filter((name) => name.startsWith(prefix)),
  }
}

/**
 * The one given; without it IndexedDB where there is one that opens (a private window may forbid it), else memory. Whatever
 * that one does, this one's methods return promises.
 */
export function storageOf(given: ClientStorage | undefined): ClientStorage {
  const hasDatabase = given === undefined && typeof indexedDB !== 'undefined'
  const opened = hasDatabase ? openDatabase().catch(memoryStorage) : Promise.resolve(given ?? memoryStorage())
  const names = ['get', 'set', 'remove', 'names'] as const
  const method = (name: (typeof names)[number]) => async (one: string, other: string) =>
    (await opened)[name](one, other)
  return Object.fromEntries(names.map((name) => [name, method(name)])) as ClientStorage
}

async function openDatabase(): Promise<ClientStorage> {
  const request = indexedDB.open('longwave', 1)
  request.onupgradeneeded = () => void request.result.createObjectStore('kept')
  const database = await answerOf(request)
  const kept = (mode?: IDBTransactionMode) => database.transaction('kept', mode).objectStore('kept')
  return {
    get: (name) => answerOf<string | undefined>(kept().get(name)),
    set: async (name, value) => void (await answerOf(kept('readwrite').put(value, name))),
    remove: (name) => answerOf(kept('readwrite').delete(name)),
    names: (prefix) =>
      answerOf(kept().getAllKeys(IDBKeyRange.bound(prefix, `${prefix}\uffff`)) as IDBRequest<string[]>),
  }
}

/** A transaction that waited for its answer first would be given up with the page: this may be the last thing before it goes. */
function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  request.transaction?.commit?.()
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
