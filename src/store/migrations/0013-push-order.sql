-- What came later goes to no device before what it is still to be tried again for.

-- Whose turn it is: what is due for each, the oldest first, and the browsers to send it to that subscribed with this key.
-- `silent`: whether it may be told to take back this one, beside the others of this turn. `held`: devices that are to be
-- tried again later for something older, and when (ms since 1970).
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
             WHERE o.user_id = g.user_id AND o.inbox_id < p.inbox_id AND o.due_at > v_now AND NOT o.withdrawing GROUP BY 1) e),
         (SELECT coalesce(jsonb_agg(jsonb_build_object('user_id', s.user_id, 'device_id', s.device_id, 'endpoint', s.endpoint,
                   'p256dh', s.p256dh, 'auth', s.auth, 'silent', withdrawals_left(s, d) >= p.nth) ORDER BY s.device_id), '[]')
            FROM push_subscriptions s JOIN devices d ON d.user_id = s.user_id AND d.id = s.device_id AND d.expires_at > now()
           WHERE s.user_id = g.user_id AND s.vapid_public_key = p_vapid_public_key)
    FROM unnest(p_users) AS g (user_id)
   CROSS JOIN LATERAL (
     SELECT o.*, row_number() OVER (PARTITION BY o.withdrawing ORDER BY o.due_at, o.about) AS nth
       FROM pushes o WHERE o.user_id = g.user_id AND o.due_at <= v_now ORDER BY o.due_at, o.about LIMIT p_limit) p
    -- What was put off together is due together: in the order in which it came.
   ORDER BY g.user_id, p.inbox_id;
END $$;
