/** The environment of every Postgres program: nothing of ours (PGPORT, PGDATA …), messages in English. */
export function postgresEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC', ...extra }
}

const passing = 'the database system is' // … starting up, told to a client that came too early

/** What Postgres complained about in its output, on one line without time and pid, or `null`. */
export function complaintIn(output: string): string | null {
  const lines = output.split('\n').filter((line) => !line.includes(passing))
  // The first is the cause; after it more goes wrong.
  const cause =
    lines.find((line) => /\b(FATAL|PANIC):/.test(line)) ?? lines.find((line) => /\berror:/i.test(line))
  if (!cause) return null
  const complaint = cause.replace(/^.*?\b(?:FATAL|PANIC|ERROR|error):\s+/, '').trim()
  return complaint.includes('No space left')
    ? `${complaint}: make room, or choose another DATA_DIR`
    : complaint
}
