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

/** IndexedDB where there is one that works (a private window may forbid it), else memory. */
export function defaultStorage(): ClientStorage {
  if (typeof indexedDB === 'undefined') return memoryStorage()
  const memory = memoryStorage()
  const database = openDatabase()
  const use = async <T>(
    mode: IDBTransactionMode,
    ask: (store: IDBObjectStore) => IDBRequest<T>,
    otherwise: () => Promise<T>,
  ) => {
    try {
      const transaction = (await database).transaction('kept', mode)
      return await answerOf(ask(transaction.objectStore('kept')))
    } catch {
      return otherwise()
    }
  }
  return {
    get: (name) =>
      use<string | undefined>(
        'readonly',
        (kept) => kept.get(name),
        () => memory.get(name),
      ),
    set: async (name, value) => {
      const otherwise = async () => {
        await memory.set(name, value)
        return name as IDBValidKey
      }
      await use('readwrite', (kept) => kept.put(value, name), otherwise)
    },
    remove: async (name) => {
      await memory.remove(name)
      await use(
        'readwrite',
        (kept) => kept.delete(name),
        async () => undefined,
      )
    },
    names: async (prefix) => {
      const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`)
      const otherwise: () => Promise<IDBValidKey[]> = () => memory.names(prefix)
      return (await use('readonly', (kept) => kept.getAllKeys(range), otherwise)).map(String)
    },
  }
}

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open('longwave', 1)
  request.onupgradeneeded = () => void request.result.createObjectStore('kept')
  const database = answerOf(request)
  // Whoever uses it meets the rejection; nobody may, and that is no crash.
  database.catch(() => {})
  return database
}

function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
