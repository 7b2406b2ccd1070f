-- Who is away, and what they are to be rung for.

ALTER TABLE devices
  -- How far it has acknowledged while somebody was looking.
  ADD COLUMN attended_epoch text,
  ADD COLUMN attended_id bigint,
  -- One that never sends a lease is there until then: so say the nodes that serve it.
  ADD COLUMN there_until timestamptz;

-- What a person is rung for: a conversation, once from its first unread message until it is read, or an announcement.
-- The jobs of pg-boss are turns of people: whose turn it is gets what is due here.
CREATE TABLE pushes (
  user_id text NOT NULL,
  -- The conversation or the announcement.
  about uuid NOT NULL,
  is_announcement boolean NOT NULL,
  -- The messages it is for, and the newest one's place in the inbox; rung: up to which they were told.
  from_seq bigint NOT NULL,
  seq bigint NOT NULL,
  inbox_id bigint NOT NULL,
  -- Null once it was done.
  due_at timestamptz,
  -- It was read: notifications are to be taken back.
  withdrawing boolean NOT NULL DEFAULT false,
  begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Devices whose push service took it, when the last one did, and those where it is of no use to try again.
  rung text[] NOT NULL DEFAULT '{}',
  rung_at timestamptz,
  refused text[] NOT NULL DEFAULT '{}',
  -- The others, by device: {attempts, at}, when to try again in ms since 1970.
  tries jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (user_id, about)
) WITH (fillfactor = 60);
CREATE INDEX pushes_due ON pushes (due_at) WHERE due_at IS NOT NULL;

-- How far each node has decided whom to ring: of what was committed before, nothing is left in its memory.
CREATE TABLE push_planners (
  node text PRIMARY KEY,
  planned_until timestamptz NOT NULL,
  beat_at timestamptz NOT NULL
);

-- Devices that never send a lease and are or were there so many ms ago, of people who want to be woken.
CREATE FUNCTION see_attendance(p_users text[], p_devices text[], p_seen_ago bigint[], p_lease interval) RETURNS void
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM push_subscriptions) THEN
    RETURN;
  END IF;
  WITH seen AS (
    SELECT d.user_id, d.id, clock_timestamp() - g.seen_ago * interval '1 millisecond' + p_lease AS until
      FROM unnest(p_users, p_devices, p_seen_ago) AS g (user_id, device_id, seen_ago)
      JOIN devices d ON d.user_id = g.user_id AND d.id = g.device_id
     WHERE d.lease_until IS NULL AND EXISTS (SELECT 1 FROM push_subscriptions s WHERE s.user_id = g.user_id)
     -- In one order, lest two nodes' batches wait for each other.
     ORDER BY d.user_id, d.id FOR NO KEY UPDATE OF d)
  UPDATE devices d SET there_until = greatest(d.there_until, s.until) FROM seen s WHERE d.user_id = s.user_id AND d.id = s.id;
END $$;

-- Where people's devices stand: what decides whether they are away.
CREATE FUNCTION push_devices(p_user text) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('attended_epoch', d.attended_epoch, 'attended_id', d.attended_id, 'active', d.active,
           'lease_ms', extract(epoch FROM d.lease_until - clock_timestamp()) * 1000,
           'there_ms', extract(epoch FROM d.there_until - clock_timestamp()) * 1000)), '[]')
    FROM devices d WHERE d.user_id = p_user AND d.expires_at > now()
$$;

-- What there is to ring people for now: per person and conversation the newest message from `from_seq` on that may wake
-- them, or the announcement; `seq` is null where there is none any more, as it was read, muted, deleted, withdrawn …
CREATE FUNCTION push_views(p_users text[], p_abouts uuid[], p_from_seqs bigint[])
RETURNS TABLE (n bigint, seq bigint, kind text, title text, sender text, content text, unread_count bigint, mention_count bigint,
  devices jsonb, database_epoch text)
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT g.n, CASE WHEN b.id IS NOT NULL THEN 0 ELSE w.seq END, coalesce(c.kind::text, 'announcement'), c.title,
         u.display_name, coalesce(w.text, left(b.text, 400)),
         coalesce(c.last_seq - m.read_seq - m.own_unread, 0),
         CASE WHEN w.seq IS NULL THEN 0 ELSE (SELECT count(*) FROM mentions t
           WHERE t.user_id = g.user_id AND t.conversation_id = g.about AND t.seq > m.read_seq) END,
         push_devices(g.user_id), (SELECT epoch FROM database_epoch)
    FROM unnest(p_users, p_abouts, p_from_seqs) WITH ORDINALITY AS g (user_id, about, from_seq, n)
    LEFT JOIN members m ON m.conversation_id = g.about AND m.user_id = g.user_id
    LEFT JOIN conversations c ON c.id = m.conversation_id
    LEFT JOIN broadcasts b ON b.id = g.about AND b.withdrawn_at IS NULL
    LEFT JOIN LATERAL (
      SELECT s.seq, s.sender_id, left(s.text, 400) AS text FROM messages s
       WHERE s.conversation_id = m.conversation_id AND s.seq > m.read_seq AND s.seq >= greatest(g.from_seq, m.from_seq)
         -- Nobody is rung for what is older: so only the last parts of messages are looked at.
         AND s.created_at > now() - interval '2 days'
         AND s.kind = 'user' AND s.sender_id <> g.user_id AND s.deleted_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM blocks k WHERE k.blocked_id = s.sender_id AND k.user_id = g.user_id)
       ORDER BY s.seq DESC LIMIT 1) w ON NOT m.muted
    LEFT JOIN users u ON u.id = w.sender_id
   ORDER BY g.n;
END $$;

-- Whether a message that comes now rings again: those before were read, or none of the devices rung for them is subscribed
-- any more.
CREATE FUNCTION is_episode_over(p pushes) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT 1 FROM members m WHERE m.conversation_id = p.about AND m.user_id = p.user_id AND m.read_seq >= p.seq)
      OR p.rung <> '{}'
         AND NOT EXISTS (SELECT 1 FROM push_subscriptions s WHERE s.user_id = p.user_id AND s.device_id = ANY (p.rung))
$$;

-- Makes pushes due, `p_due_ms` from now: one for each unread episode. Returns whose, and after how many ms.
CREATE FUNCTION plan_pushes(
  p_users text[], p_abouts uuid[], p_announcements boolean[], p_from_seqs bigint[], p_seqs bigint[], p_inbox_ids bigint[], p_due_ms bigint[])
RETURNS TABLE (user_id text, due_ms float8)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  INSERT INTO pushes AS p (user_id, about, is_announcement, from_seq, seq, inbox_id, due_at)
  SELECT g.user_id, g.about, g.is_announcement, g.from_seq, g.seq, g.inbox_id, clock_timestamp() + g.due_ms * interval '1 millisecond'
    FROM unnest(p_users, p_abouts, p_announcements, p_from_seqs, p_seqs, p_inbox_ids, p_due_ms)
           AS g (user_id, about, is_announcement, from_seq, seq, inbox_id, due_ms)
   WHERE EXISTS (SELECT 1 FROM push_subscriptions s WHERE s.user_id = g.user_id)
   ORDER BY g.user_id, g.about
  ON CONFLICT (user_id, about) DO UPDATE SET
    -- Still to be rung: one more message of the same episode, as old as the newest. Else the one before is over; devices
    -- that are to be tried again later still are.
    (from_seq, seq, inbox_id, due_at, tries, begun_at, rung, refused, withdrawing) = (
      SELECT CASE WHEN a.is_anew THEN excluded.from_seq ELSE p.from_seq END,
             CASE WHEN a.is_anew THEN excluded.seq WHEN p.rung = '{}' THEN greatest(p.seq, excluded.seq) ELSE p.seq END,
             CASE WHEN a.is_anew THEN excluded.inbox_id ELSE greatest(p.inbox_id, excluded.inbox_id) END,
             CASE WHEN a.is_anew THEN excluded.due_at ELSE p.due_at END,
             CASE WHEN p.due_at IS NULL OR p.withdrawing THEN '{}' ELSE p.tries END,
             CASE WHEN a.is_anew OR excluded.inbox_id > p.inbox_id THEN excluded.begun_at ELSE p.begun_at END,
             CASE WHEN a.is_anew THEN '{}' ELSE p.rung END,
             CASE WHEN a.is_anew THEN '{}' ELSE p.refused END,
             false
        -- OFFSET 0: it is asked once, not for each column.
        FROM (SELECT p.due_at IS NULL OR p.withdrawing OR excluded.seq > p.seq AND is_episode_over(p) AS is_anew OFFSET 0) a)
  WHERE NOT p.is_announcement AND (p.due_at IS NOT NULL OR excluded.seq > p.seq AND is_episode_over(p))
  RETURNING p.user_id, greatest(extract(epoch FROM p.due_at - clock_timestamp()) * 1000, 0)::float8;
END $$;

-- How many more pushes that show nothing a browser may be sent: Firefox ends the subscription of a site that sends many
-- and is not visited meanwhile. So three, and only while it was there within a day.
CREATE FUNCTION withdrawals_left(s push_subscriptions, d devices) RETURNS int LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN NOT s.silent OR d.last_seen_at < now() - interval '24 hours' THEN 0
              WHEN s.withdrawn_at >= d.last_seen_at THEN greatest(3 - s.withdrawals, 0)
              ELSE 3 END
$$;

-- Whose turn it is: what is due for each, the oldest first, and the browsers to send it to that subscribed with this key.
-- `silent`: whether it may be told to take back this one, beside the others of this turn.
CREATE FUNCTION push_turns(p_users text[], p_vapid_public_key text, p_limit int)
RETURNS TABLE (user_id text, about uuid, is_announcement boolean, from_seq bigint, seq bigint, inbox_id bigint, withdrawing boolean,
  age_ms float8, rung text[], refused text[], tries jsonb, targets jsonb)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT p.user_id, p.about, p.is_announcement, p.from_seq, p.seq, p.inbox_id, p.withdrawing,
         (extract(epoch FROM clock_timestamp() - p.begun_at) * 1000)::float8, p.rung, p.refused, p.tries,
         (SELECT coalesce(jsonb_agg(jsonb_build_object('user_id', s.user_id, 'device_id', s.device_id, 'endpoint', s.endpoint,
                   'p256dh', s.p256dh, 'auth', s.auth, 'silent', withdrawals_left(s, d) >= p.nth) ORDER BY s.device_id), '[]')
            FROM push_subscriptions s JOIN devices d ON d.user_id = s.user_id AND d.id = s.device_id AND d.expires_at > now()
           WHERE s.user_id = g.user_id AND s.vapid_public_key = p_vapid_public_key)
    FROM unnest(p_users) AS g (user_id)
   CROSS JOIN LATERAL (
     SELECT o.*, row_number() OVER (PARTITION BY o.withdrawing ORDER BY o.due_at, o.about) AS nth
       FROM pushes o WHERE o.user_id = g.user_id AND o.due_at <= clock_timestamp() ORDER BY o.due_at, o.about LIMIT p_limit) p
    -- What was put off together is due together: in the order in which it came.
   ORDER BY g.user_id, p.inbox_id;
END $$;

-- What was read meanwhile: notifications that can be taken back are to be, once they were shown for `p_shown`; all else is
-- over. What some device is still to be rung for is due now, so that a turn ends it. Returns whose turn that makes it, and
-- after how many ms.
CREATE FUNCTION withdraw_pushes(p_users text[], p_abouts uuid[], p_shown interval) RETURNS TABLE (user_id text, due_ms float8)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH over AS (
    SELECT p.user_id, p.about, p.due_at IS NOT NULL AS is_due, EXISTS (
             SELECT 1 FROM push_subscriptions s JOIN devices d ON d.user_id = s.user_id AND d.id = s.device_id
              WHERE s.user_id = p.user_id AND s.device_id = ANY (p.rung) AND withdrawals_left(s, d) > 0) AS can_withdraw
      FROM unnest(p_users, p_abouts) AS g (user_id, about)
      JOIN pushes p ON p.user_id = g.user_id AND p.about = g.about
      JOIN members m ON m.conversation_id = p.about AND m.user_id = p.user_id
     WHERE NOT p.withdrawing AND m.read_seq >= p.seq
     ORDER BY p.user_id, p.about FOR NO KEY UPDATE OF p),
  gone AS (
    DELETE FROM pushes p USING over o WHERE NOT o.is_due AND NOT o.can_withdraw AND p.user_id = o.user_id AND p.about = o.about),
  ending AS (
    UPDATE pushes p SET due_at = least(p.due_at, clock_timestamp())
      FROM over o WHERE o.is_due AND p.user_id = o.user_id AND p.about = o.about
    RETURNING p.user_id, p.due_at),
  withdrawn AS (
    UPDATE pushes p SET withdrawing = true, due_at = greatest(clock_timestamp(), p.rung_at + p_shown), begun_at = clock_timestamp(),
           refused = '{}', tries = '{}'
      FROM over o WHERE NOT o.is_due AND o.can_withdraw AND p.user_id = o.user_id AND p.about = o.about
    RETURNING p.user_id, p.due_at)
  SELECT d.user_id, greatest(extract(epoch FROM d.due_at - clock_timestamp()) * 1000, 0)::float8
    FROM (SELECT * FROM ending UNION ALL SELECT * FROM withdrawn) d;
END $$;

-- Writes down what became of turns: a JSON list of {user_id, about, withdrawing, planned_seq, outcome 'rung' | 'over' | 'later',
-- seq, rung, refused, tries, withdrawn, due_ms}.
CREATE FUNCTION settle_pushes(p_outcomes jsonb, p_shown interval) RETURNS void
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_users text[];
  v_abouts uuid[];
BEGIN
  PERFORM 1 FROM jsonb_to_recordset(p_outcomes) AS o (user_id text, about uuid)
    JOIN pushes p ON p.user_id = o.user_id AND p.about = o.about ORDER BY p.user_id, p.about FOR UPDATE OF p;
  UPDATE push_subscriptions s SET withdrawn_at = clock_timestamp(),
         withdrawals = CASE WHEN s.withdrawn_at >= w.last_seen_at THEN s.withdrawals ELSE 0 END + w.count
    FROM (SELECT o.user_id, v.device_id, d.last_seen_at, count(*) AS count
            FROM jsonb_to_recordset(p_outcomes) AS o (user_id text, withdrawn text[]) CROSS JOIN unnest(o.withdrawn) AS v (device_id)
            JOIN devices d ON d.user_id = o.user_id AND d.id = v.device_id GROUP BY 1, 2, 3) w
   WHERE s.user_id = w.user_id AND s.device_id = w.device_id;
  -- Not over, if something new came meanwhile.
  DELETE FROM pushes p
   USING jsonb_to_recordset(p_outcomes) AS o (user_id text, about uuid, withdrawing boolean, planned_seq bigint, outcome text)
   WHERE o.outcome = 'over' AND p.user_id = o.user_id AND p.about = o.about AND p.withdrawing = o.withdrawing AND p.seq = o.planned_seq;
  -- What was read while some were rung is over for those, and what came since rings anew.
  UPDATE pushes p SET tries = p.tries || d.tries,
         due_at = CASE WHEN d.is_read OR p.seq > d.planned_seq THEN clock_timestamp()
                       ELSE clock_timestamp() + d.due_ms * interval '1 millisecond' END,
         from_seq = CASE WHEN d.is_anew THEN d.seq + 1 ELSE p.from_seq END,
         seq = CASE WHEN NOT d.is_anew AND d.rung <> '{}' THEN d.seq ELSE p.seq END,
         rung = CASE WHEN d.is_anew THEN '{}' ELSE p.rung || d.rung END,
         refused = CASE WHEN d.is_anew THEN '{}' ELSE p.refused || d.refused END,
         rung_at = CASE WHEN d.rung = '{}' THEN p.rung_at ELSE clock_timestamp() END
    FROM (SELECT o.*, coalesce(m.read_seq >= o.seq, false) AS is_read, coalesce(q.seq > o.seq AND m.read_seq >= o.seq, false) AS is_anew
            FROM jsonb_to_recordset(p_outcomes) AS o (user_id text, about uuid, withdrawing boolean, planned_seq bigint, outcome text,
                   seq bigint, tries jsonb, due_ms bigint, rung text[], refused text[])
            JOIN pushes q ON q.user_id = o.user_id AND q.about = o.about AND q.withdrawing = o.withdrawing
            LEFT JOIN members m ON m.conversation_id = o.about AND m.user_id = o.user_id AND NOT o.withdrawing
           WHERE o.outcome = 'later') d
   WHERE p.user_id = d.user_id AND p.about = d.about;
  -- What came while it was being sent is of the same episode, unless that was read in between.
  WITH done AS (
    UPDATE pushes p SET refused = '{}', tries = '{}',
           due_at = CASE WHEN d.is_anew THEN clock_timestamp() END,
           from_seq = CASE WHEN d.is_anew THEN d.seq + 1 ELSE p.from_seq END,
           seq = CASE WHEN d.is_anew THEN p.seq ELSE d.seq END,
           rung = CASE WHEN d.is_anew THEN '{}' ELSE p.rung || d.rung END,
           rung_at = CASE WHEN d.rung = '{}' THEN p.rung_at ELSE clock_timestamp() END
      FROM (SELECT o.*, coalesce(q.seq > o.seq AND m.read_seq >= o.seq, false) AS is_anew
              FROM jsonb_to_recordset(p_outcomes) AS o (
                     user_id text, about uuid, withdrawing boolean, outcome text, seq bigint, rung text[])
              JOIN pushes q ON q.user_id = o.user_id AND q.about = o.about AND q.withdrawing = o.withdrawing
              LEFT JOIN members m ON m.conversation_id = o.about AND m.user_id = o.user_id
             WHERE o.outcome = 'rung') d
     WHERE p.user_id = d.user_id AND p.about = d.about
    RETURNING p.user_id, p.about)
  SELECT array_agg(d.user_id), array_agg(d.about) INTO v_users, v_abouts FROM done d;
  PERFORM withdraw_pushes(v_users, v_abouts, p_shown);
END $$;

-- What came into inboxes from `p_from` to `p_until`, should nobody have decided whom it wakes: of the next `p_limit` people
-- behind `p_after` who want to be woken, with `about` null for those to whom nothing came.
CREATE FUNCTION owed_pushes(p_from timestamptz, p_until timestamptz, p_after text, p_limit int)
RETURNS TABLE (user_id text, about uuid, is_announcement boolean, from_seq bigint, seq bigint, inbox_id bigint, age_ms float8)
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT p.user_id, o.about, o.is_announcement, o.from_seq, o.seq, o.inbox_id, (extract(epoch FROM clock_timestamp() - o.at) * 1000)::float8
    FROM (SELECT DISTINCT s.user_id FROM push_subscriptions s WHERE s.user_id > p_after ORDER BY 1 LIMIT p_limit) p
    LEFT JOIN inbox_heads h ON h.user_id = p.user_id AND h.last_at >= p_from
    LEFT JOIN LATERAL (
      SELECT coalesce(i.conversation_id, (i.detail->>'announcement_id')::uuid) AS about, i.type = 'announcement' AS is_announcement,
             coalesce(min(i.seq), 0) AS from_seq, coalesce(max(i.seq), 0) AS seq, max(i.id) AS inbox_id, min(i.at) AS at
        FROM inbox i
       WHERE i.user_id = h.user_id AND i.at >= p_from AND i.at < p_until AND i.type IN ('message.created', 'announcement')
       GROUP BY 1, 2) o ON true
   ORDER BY p.user_id;
END $$;
