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

/** IndexedDB where there is one that opens (a private window may forbid it), else memory. */
export function defaultStorage(): ClientStorage {
  const opened =
    typeof indexedDB === 'undefined' ? Promise.resolve(memoryStorage()) : openDatabase().catch(memoryStorage)
  return {
    get: async (name) => (await opened).get(name),
    set: async (name, value) => (await opened).set(name, value),
    remove: async (name) => (await opened).remove(name),
    names: async (prefix) => (await opened).names(prefix),
  }
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
    names: async (prefix) =>
      (await answerOf(kept().getAllKeys(IDBKeyRange.bound(prefix, `${prefix}\uffff`)))).map(String),
  }
}

function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
