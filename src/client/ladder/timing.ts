/** Durations of the ladder, in milliseconds of a monotonic clock. */

/** A stream's greeting, or a poll's answer over its `wait`, may take this long … */
export const ANSWER_MS = 3_000
/** … or so many round trips, but never longer than this. */
export const ANSWER_ROUND_TRIPS = 4
export const LONGEST_ANSWER_MS = 20_000
/** What is taken for a round trip until one was measured. */
export const FIRST_RTT_MS = 500

/** Answers that do not come may be slow ones: more is not waited for than four of this. */
export const SLOWEST_RTT_MS = 2_000

/** What streams are asked to beat at: a stream that falls silent is found out within ten seconds. */
export const HEARTBEAT_SECONDS = 7
/** What the server writes right behind the greeting comes so soon, or two round trips later, or is held back. */
export const SECOND_WRITE_MS = 1_000
/** A heartbeat may come this much late before a poll beside the stream asks why. */
export const SILENCE_SLACK_MS = 2_000
/** How long a stream may lack an event that a poll beside it has. */
export const OWED_MS = 600
/** An event that was stamped so much earlier than it came, or three round trips, casts suspicion on its stream. */
export const LATE_MS = 1_000
/** Nor is it called held back while bytes arrive that are younger than this, … */
export const FLOWING_MS = 300
/** … unless that goes on for so long. */
export const LONGEST_OWED_MS = 30_000
/** A timer that fires so much late was asleep or throttled: nothing is concluded from it. */
export const DRIFT_MS = 2_000

/** A stream cut younger than this has failed; one that lives longer may carry alone. */
export const STABLE_MS = 8_000
/** Bytes at this age prove that a stream flows: what it did wrong before is forgotten. */
export const FORGIVEN_MS = 12_000
/** So many faults in a row, each confirmed by a poll, make a rung unfit. */
export const FAULTS = 2

/** A stream that is only opened again gets this long before polls step in for it. */
export const BRIDGE_GRACE_MS = 1_000
/** How long polls wait while a stream is being tried beside them, in seconds. */
export const BRIDGE_WAIT_SECONDS = 2
/** The longest wait of a long-poll, and the shortest that is worth one (seconds). */
export const LONGEST_WAIT_SECONDS = 25
export const SHORTEST_WAIT_SECONDS = 4
/** A long-poll that breaks sooner was not cut for its wait. */
export const SHORTEST_CUT_MS = 1_000
/** Events that a poll asks for; fewer after answers that were cut, more again after whole ones. */
export const MOST_EVENTS = 100
/** Between two plain polls; twice and four times that when nothing happens, or nobody looks. */
export const POLL_PAUSE_MS = 2_000
/** Long-polls that are answered at once are asked no closer than this. */
export const POLL_GAP_MS = 150

/** A cut after which the stream is back within this was a cut, not an outage. */
export const BACK_WITHIN_MS = 3_000
/** A random share of this passes before a stream that worked and was cut is opened again. */
export const CUT_PAUSE_MS = 1_000
/** Two cuts at ages so close to each other (share, or at least the second) are one time-out on the way. */
export const SAME_AGE = 0.15
export const SAME_AGE_MS = 2_000
/** Streams are not rotated more often than this; whatever cuts earlier makes the rung unfit. */
export const SHORTEST_AGE_MS = 20_000

/** When something of our own was committed and the stream did not show it. */
export const EXPECTED_MS = 1_500

/** Better rungs are tried again after this, doubling up to the second. */
export const FIRST_PROBE_MS = 60_000
export const LONGEST_PROBE_MS = 3_600_000
/** A rung that served so long was right: the doubling begins anew. */
export const LONG_LIFE_MS = 600_000
/** A fault that would end the rung is left this long to be confirmed, before the stream is tried again. */
export const VERDICT_MS = 8_000
export const MINUTE_MS = 60_000

/** Full jitter: a random share of this, doubling up to the second. */
export const FIRST_BACKOFF_MS = 500
export const LONGEST_BACKOFF_MS = 8_000
/** After so many failures within a minute each further attempt of a lane waits about so long. */
export const MANY_FAILURES = 8
export const PACE_MS = 4_000

/** What failed beside another tab, which reads for this one, is asked again no sooner. */
export const CATCH_UP_PAUSE_MS = 3_000
/** Each reset within a minute waits for so much more. */
export const RESET_PAUSE_MS = 1_000

/** A time that does not come. */
export const NEVER = Number.POSITIVE_INFINITY

/** A proven stream is compared with a poll after these, then every last one. */
export const WITNESS_MS = [5_000, 30_000, 300_000]
