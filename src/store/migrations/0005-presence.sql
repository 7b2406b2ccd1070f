-- Who is there. One row per person who ever was; nodes write on it for the devices they serve, some seconds apart.

CREATE TABLE presence (
  user_id text PRIMARY KEY,
  -- Some device of theirs is there until then, unless it says so again; only ever moves on.
  until timestamptz NOT NULL DEFAULT '-infinity',
  last_active_at timestamptz,
  -- What others were told last, and when. Whoever turns it is the one node that tells.
  shown boolean NOT NULL DEFAULT false,
  shown_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
-- Both change only when somebody comes or goes, so that saying "still there" stays HOT.
CREATE INDEX presence_shown ON presence (user_id) WHERE shown;
CREATE INDEX presence_by_turn ON presence (shown_at);

-- Devices that are or were there: last seen and last asked so many ms ago, `active` as they said it or null. A device
-- that renews its lease (one that runs beyond its last request) counts from its requests, any other while it is seen.
-- Returns those who are there but are not shown.
CREATE FUNCTION see_presence(
  p_users text[], p_devices text[], p_seen_ago bigint[], p_asked_ago bigint[], p_active boolean[], p_lease interval)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz;
BEGIN
  INSERT INTO presence (user_id) SELECT DISTINCT u FROM unnest(p_users) AS u ORDER BY 1 ON CONFLICT DO NOTHING;
  -- In one order, lest two nodes' batches wait for each other.
  PERFORM 1 FROM unnest(p_users) AS u JOIN presence p ON p.user_id = u ORDER BY p.user_id FOR NO KEY UPDATE OF p;
  v_now := date_trunc('milliseconds', clock_timestamp());
  RETURN QUERY
  WITH said AS (
    SELECT g.user_id, g.active, d.active AS known_active, coalesce(d.lease_until > a.asked_at, false) AS leases,
           a.asked_at, v_now - g.seen_ago * interval '1 millisecond' AS seen_at
      FROM unnest(p_users, p_devices, p_seen_ago, p_asked_ago, p_active) AS g (user_id, device_id, seen_ago, asked_ago, active)
      LEFT JOIN devices d ON d.user_id = g.user_id AND d.id = g.device_id
     CROSS JOIN LATERAL (SELECT v_now - g.asked_ago * interval '1 millisecond' AS asked_at) a),
  there AS (
    SELECT s.user_id, max(CASE WHEN s.leases THEN s.asked_at ELSE s.seen_at END) + p_lease AS until,
           max(CASE WHEN s.leases THEN s.asked_at ELSE s.seen_at END)
             FILTER (WHERE coalesce(s.active, CASE WHEN s.leases THEN s.known_active END, true)) AS active_at
      FROM said s GROUP BY s.user_id),
  written AS (
    UPDATE presence p SET until = greatest(p.until, t.until), last_active_at = greatest(p.last_active_at, t.active_at)
      FROM there t
     WHERE p.user_id = t.user_id
       AND (p.until < t.until OR t.active_at IS NOT NULL AND p.last_active_at IS DISTINCT FROM greatest(p.last_active_at, t.active_at)))
  SELECT t.user_id FROM there t JOIN presence p ON p.user_id = t.user_id
   WHERE NOT p.shown AND greatest(p.until, t.until) > v_now;
END $$;
