-- What came later goes to no device before what it is still to be tried again for; who subscribes while a conversation is unread
-- is rung by its next message; what a node left is gone through as if it had been judged in time.

-- Whose turn it is: what is due for each, in the order in which it came, and the browsers to send it to that subscribed with
-- this key. `silent`: whether it may be told to take back this one, beside the others of this turn. `held`: devices that are
-- to be tried again later for something older, and when (ms since 1970).
DROP FUNCTION push_turns(text[], text, int);
CREATE FUNCTION push_turns(p_users text[], p_vapid_public_key text, p_limit int)
RETURNS TABLE (user_id text, about uuid, is_announcement boolean, from_seq bigint, seq bigint, inbox_id bigint, withdrawing boolean,
  age_ms float8, rung text[], refused text[], tries jsonb, held jsonb, targets jsonb)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
BEGIN
  RETURN QUERY
  SELECT p.user_id, p.about, p.is_announcement, p.from_seq, p.seq, p.inbox_id, p.withdrawing,
         (extract(epoch FROM v_now - p.begun_at) * 1000)::float8, p.rung, p.refused, p.tries,
         (SELECT coalesce(jsonb_object_agg(e.device_id, e.at), '{}') FROM (
            SELECT t.device_id, max(greatest((t.try->>'at')::float8, extract(epoch FROM o.due_at) * 1000)) AS at
              FROM pushes o CROSS JOIN jsonb_each(o.tries) AS t (device_id, try)
             WHERE o.user_id = g.user_id AND o.inbox_id < p.inbox_id AND o.due_at > v_now AND NOT o.withdrawing
               AND t.device_id <> ALL (o.rung || o.refused) GROUP BY 1) e),
         (SELECT coalesce(jsonb_agg(jsonb_build_object('user_id', s.user_id, 'device_id', s.device_id, 'endpoint', s.endpoint,
                   'p256dh', s.p256dh, 'auth', s.auth, 'silent', withdrawals_left(s, d) >= p.nth) ORDER BY s.device_id), '[]')
            FROM push_subscriptions s JOIN devices d ON d.user_id = s.user_id AND d.id = s.device_id AND d.expires_at > now()
           WHERE s.user_id = g.user_id AND s.vapid_public_key = p_vapid_public_key)
    FROM unnest(p_users) AS g (user_id)
   CROSS JOIN LATERAL (
     SELECT o.*, row_number() OVER (PARTITION BY o.withdrawing ORDER BY o.due_at, o.about) AS nth
       FROM pushes o WHERE o.user_id = g.user_id AND o.due_at <= v_now ORDER BY o.inbox_id LIMIT p_limit) p
   ORDER BY g.user_id, p.inbox_id;
END $$;

-- Whether somebody was rung on other browsers than all those that are subscribed now.
CREATE FUNCTION has_unrung(p pushes) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT 1 FROM push_subscriptions s WHERE s.user_id = p.user_id AND s.device_id <> ALL (p.rung || p.refused))
$$;

-- Makes pushes due, `p_due_ms` from now: one for each unread episode, and again for browsers that subscribed since it was
-- rung. Returns whose, and after how many ms.
CREATE OR REPLACE FUNCTION plan_pushes(
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
      SELECT CASE WHEN a.is_anew THEN excluded.from_seq ELSE least(p.from_seq, excluded.from_seq) END,
             CASE WHEN a.is_anew THEN excluded.seq WHEN p.rung = '{}' THEN greatest(p.seq, excluded.seq) ELSE p.seq END,
             CASE WHEN a.is_anew THEN excluded.inbox_id ELSE greatest(p.inbox_id, excluded.inbox_id) END,
             CASE WHEN a.is_anew THEN excluded.due_at ELSE coalesce(p.due_at, excluded.due_at) END,
             CASE WHEN p.due_at IS NULL OR p.withdrawing THEN '{}' ELSE p.tries END,
             CASE WHEN a.is_anew OR excluded.inbox_id > p.inbox_id THEN excluded.begun_at ELSE p.begun_at END,
             CASE WHEN a.is_anew THEN '{}' ELSE p.rung END,
             CASE WHEN a.is_anew THEN '{}' ELSE p.refused END,
             false
        -- OFFSET 0: it is asked once, not for each column.
        FROM (SELECT p.withdrawing OR excluded.seq > p.seq AND is_episode_over(p) AS is_anew OFFSET 0) a)
  WHERE NOT p.is_announcement AND (p.due_at IS NOT NULL OR excluded.seq > p.seq AND (is_episode_over(p) OR has_unrung(p)))
  RETURNING p.user_id, greatest(extract(epoch FROM p.due_at - clock_timestamp()) * 1000, 0)::float8;
END $$;

-- What was read meanwhile: notifications that can be taken back are to be, once they were shown for `p_shown`; all else is
-- over. What some device is still to be rung for, or was before the conversation was muted or left, is due now, so that a turn
-- ends it. Returns whose turn that makes it, and after how many ms.
CREATE OR REPLACE FUNCTION withdraw_pushes(p_users text[], p_abouts uuid[], p_shown interval) RETURNS TABLE (user_id text, due_ms float8)
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
      LEFT JOIN members m ON m.conversation_id = p.about AND m.user_id = p.user_id
     WHERE NOT p.withdrawing AND (m.read_seq >= p.seq OR p.due_at IS NOT NULL AND coalesce(m.muted, true))
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
CREATE OR REPLACE FUNCTION settle_pushes(p_outcomes jsonb, p_shown interval) RETURNS void
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_users text[];
  v_abouts uuid[];
  v_holders text[];
BEGIN
  -- Those, and what may have waited for them: in one order.
  PERFORM 1 FROM pushes p WHERE p.user_id IN (SELECT o.user_id FROM jsonb_to_recordset(p_outcomes) AS o (user_id text))
     AND (p.tries <> '{}' OR (p.user_id, p.about) IN (SELECT o.user_id, o.about FROM jsonb_to_recordset(p_outcomes) AS o (user_id text, about uuid)))
   ORDER BY p.user_id, p.about FOR UPDATE;
  SELECT array_agg(p.user_id) INTO v_holders FROM jsonb_to_recordset(p_outcomes) AS o (user_id text, about uuid, outcome text)
    JOIN pushes p ON p.user_id = o.user_id AND p.about = o.about WHERE o.outcome <> 'later' AND p.tries <> '{}';
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
    UPDATE pushes p SET tries = '{}', refused = CASE WHEN d.is_anew THEN '{}' ELSE p.refused || d.refused END,
           due_at = CASE WHEN d.is_anew THEN clock_timestamp() END,
           from_seq = CASE WHEN d.is_anew THEN d.seq + 1 ELSE p.from_seq END,
           seq = CASE WHEN d.is_anew THEN p.seq ELSE d.seq END,
           rung = CASE WHEN d.is_anew THEN '{}' ELSE p.rung || d.rung END,
           rung_at = CASE WHEN d.rung = '{}' THEN p.rung_at ELSE clock_timestamp() END
      FROM (SELECT o.*, coalesce(q.seq > o.seq AND m.read_seq >= o.seq, false) AS is_anew
              FROM jsonb_to_recordset(p_outcomes) AS o (
                     user_id text, about uuid, withdrawing boolean, outcome text, seq bigint, rung text[], refused text[])
              JOIN pushes q ON q.user_id = o.user_id AND q.about = o.about AND q.withdrawing = o.withdrawing
              LEFT JOIN members m ON m.conversation_id = o.about AND m.user_id = o.user_id
             WHERE o.outcome = 'rung') d
     WHERE p.user_id = d.user_id AND p.about = d.about
    RETURNING p.user_id, p.about)
  SELECT array_agg(d.user_id), array_agg(d.about) INTO v_users, v_abouts FROM done d;
  PERFORM withdraw_pushes(v_users, v_abouts, p_shown);
  -- What was never tried waited for something older: that may be what is done now.
  UPDATE pushes p SET due_at = clock_timestamp()
   WHERE p.user_id = ANY (v_holders) AND p.due_at > clock_timestamp()
     AND EXISTS (SELECT 1 FROM jsonb_each(p.tries) AS t (device_id, try) WHERE (t.try->>'attempts')::int = 0);
END $$;

-- What came into somebody's inbox from `p_from` to `p_until` that may wake them, should nobody have decided on it: per
-- conversation, or announcement. What they said themselves does not, nor who they block.
CREATE FUNCTION owed_to(p_user text, p_from timestamptz, p_until timestamptz)
RETURNS TABLE (about uuid, is_announcement boolean, from_seq bigint, seq bigint, inbox_id bigint, age_ms float8)
LANGUAGE sql STABLE AS $$
  SELECT coalesce(i.conversation_id, (i.detail->>'announcement_id')::uuid), i.type = 'announcement',
         coalesce(min(i.seq), 0), coalesce(max(i.seq), 0), max(i.id), (extract(epoch FROM clock_timestamp() - min(i.at)) * 1000)::float8
    FROM inbox i
   WHERE i.user_id = p_user AND i.at >= p_from AND i.at < p_until AND i.type IN ('message.created', 'announcement')
     AND NOT EXISTS (
       SELECT 1 FROM messages s
        WHERE s.conversation_id = i.conversation_id AND s.seq = i.seq AND s.created_at = coalesce(i.message_at, i.at)
          AND (s.kind <> 'user' OR s.sender_id = p_user OR s.deleted_at IS NOT NULL
               OR EXISTS (SELECT 1 FROM blocks k WHERE k.blocked_id = s.sender_id AND k.user_id = p_user)))
   GROUP BY 1, 2
$$;

-- The same of the next `p_limit` people behind `p_after` who want to be woken, with `about` null for those to whom nothing came.
CREATE OR REPLACE FUNCTION owed_pushes(p_from timestamptz, p_until timestamptz, p_after text, p_limit int)
RETURNS TABLE (user_id text, about uuid, is_announcement boolean, from_seq bigint, seq bigint, inbox_id bigint, age_ms float8)
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT p.user_id, o.about, o.is_announcement, o.from_seq, o.seq, o.inbox_id, o.age_ms
    FROM (SELECT DISTINCT s.user_id FROM push_subscriptions s WHERE s.user_id > p_after ORDER BY 1 LIMIT p_limit) p
    LEFT JOIN inbox_heads h ON h.user_id = p.user_id AND h.last_at >= p_from
    LEFT JOIN LATERAL owed_to(h.user_id, p_from, p_until) o ON true
   ORDER BY p.user_id;
END $$;
