/** The environment of every Postgres program: nothing of ours (PGPORT, PGDATA …), messages in English. */
export function postgresEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC', ...extra }
}

/** The last thing Postgres complained about in its output, on one line without time and pid, or `null`. */
export function complaintIn(output: string): string | null {
  const complaints = output.split('\n').filter((line) => /\b(FATAL|PANIC|ERROR):|\berror: /.test(line))
  const fatal = complaints.findLast((line) => !/\bERROR:/.test(line)) ?? complaints.at(-1)
  return fatal?.replace(/^.*?(?:(?:FATAL|PANIC|ERROR):|\berror:)\s+/, '').trim() ?? null
}
