-- What a product's back end does: users of its own, broadcasts, erasure, usage; and users of an identity provider.

ALTER TABLE users
  ADD COLUMN erased_at timestamptz,
  -- The name that the identity provider said last, and when it issued that token: an older one does not bring it back.
  ADD COLUMN claimed_name text,
  ADD COLUMN claimed_at timestamptz;

-- A stream that a ticket opens ends no later than the token that the ticket was got with.
ALTER TABLE stream_tickets ADD COLUMN ends_at timestamptz;

-- Announcements to everybody. `last_user` is how far the way through all users has come.
CREATE TABLE broadcasts (
  id uuid PRIMARY KEY,
  text text NOT NULL,
  created_at timestamptz NOT NULL,
  recipients_total bigint NOT NULL,
  recipients_done bigint NOT NULL DEFAULT 0,
  last_user text NOT NULL DEFAULT '',
  completed_at timestamptz,
  withdrawn_at timestamptz
);
CREATE INDEX broadcasts_by_time ON broadcasts (created_at, id);
CREATE INDEX broadcasts_under_way ON broadcasts (created_at) WHERE completed_at IS NULL AND withdrawn_at IS NULL;

-- Users whose messages are being erased, or were. What is left to do is what is left in send_keys.
CREATE TABLE erasures (
  user_id text PRIMARY KEY,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Not before; moved where something may still come.
  look_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  messages_erased bigint NOT NULL DEFAULT 0,
  completed_at timestamptz
);
CREATE INDEX erasures_under_way ON erasures (look_at) WHERE completed_at IS NULL;

-- System messages name people: by these they are found when one of them is erased. Rows of users are never in them.
CREATE INDEX messages_told_by ON messages ((data->>'by')) WHERE kind = 'system';
CREATE INDEX messages_told_of ON messages ((data->>'user_id')) WHERE kind = 'system';

-- Counted as it happens, so that nobody ever counts messages.
CREATE TABLE usage_days (
  day date PRIMARY KEY,
  messages bigint NOT NULL DEFAULT 0,
  active_users bigint NOT NULL DEFAULT 0
);
-- Who was counted already; only today's are needed.
CREATE TABLE active_users (day date NOT NULL, user_id text NOT NULL, PRIMARY KEY (day, user_id));

-- Rows of a table: the planner's estimate, or where it has none or the table is small, the count.
CREATE FUNCTION estimate_rows(p_table regclass) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  v bigint := (SELECT sum(greatest(c.reltuples, 0)) FROM pg_partition_tree(p_table) t JOIN pg_class c ON c.oid = t.relid WHERE t.isleaf);
BEGIN
  IF coalesce(v, 0) < 50000 THEN
    EXECUTE format('SELECT count(*) FROM (SELECT 1 FROM %s LIMIT 100000) counted', p_table) INTO v;
  END IF;
  RETURN v;
END $$;

-- Puts the next `p_limit` users' announcement into their inboxes and moves the broadcast on, in one transaction: exactly
-- once each, whoever dies. Nothing is returned where there is nothing to do, or another node is at it just now.
CREATE FUNCTION broadcast_chunk(p_limit int)
RETURNS TABLE (broadcast_id uuid, content text, event_at timestamptz, recipients text[], inbox_ids bigint[], database_epoch text)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET lock_timeout = '1s' AS $$
DECLARE
  v broadcasts;
  v_users text[];
  v_count bigint;
  v_last text;
BEGIN
  SELECT * INTO v FROM broadcasts b WHERE b.completed_at IS NULL AND b.withdrawn_at IS NULL
    ORDER BY b.created_at LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF v.id IS NULL THEN
    RETURN;
  END IF;
  database_epoch := current_epoch();
  SELECT array_agg(n.id), count(*), max(n.id) INTO v_users, v_count, v_last
    FROM (SELECT u.id FROM users u WHERE u.id > v.last_user AND u.created_at <= v.created_at AND u.erased_at IS NULL
      ORDER BY u.id LIMIT p_limit) n;
  UPDATE broadcasts b SET recipients_done = b.recipients_done + v_count, last_user = coalesce(v_last, b.last_user),
      completed_at = CASE WHEN v_count < p_limit THEN date_trunc('milliseconds', clock_timestamp()) END,
      recipients_total = CASE WHEN v_count < p_limit THEN b.recipients_done + v_count
        ELSE greatest(b.recipients_total, b.recipients_done + v_count) END
    WHERE b.id = v.id;
  broadcast_id := v.id;
  content := v.text;
  IF v_users IS NOT NULL THEN
    event_at := lock_heads(v_users);
    WITH moved AS (
      UPDATE inbox_heads h SET last_id = h.last_id + 1, last_at = event_at
       WHERE h.user_id = ANY (v_users) RETURNING h.user_id, h.last_id),
    written AS (
      INSERT INTO inbox (user_id, id, at, type, detail)
      SELECT m.user_id, m.last_id, event_at, 'announcement', jsonb_build_object('announcement_id', v.id) FROM moved m)
    SELECT array_agg(m.user_id), array_agg(m.last_id) INTO recipients, inbox_ids FROM moved m;
  END IF;
  RETURN NEXT;
END $$;

-- Lets in a user of the identity provider from one of their devices, both made at first sight: 'admitted', 'erased', or
-- 'signed_out' where the token was issued before this device was.
CREATE FUNCTION admit_user(p_user text, p_name text, p_folded text, p_device text, p_issued_at timestamptz, p_span interval)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v users;
  v_is_new boolean;
BEGIN
  -- An erasure waits until the device is there, so that it signs that out too.
  SELECT * INTO v FROM users u WHERE u.id = p_user FOR KEY SHARE;
  IF v.id IS NULL THEN
    INSERT INTO users (id, display_name, display_name_folded, claimed_name, claimed_at, created_at)
    VALUES (p_user, p_name, p_folded, p_name, p_issued_at, date_trunc('milliseconds', now())) ON CONFLICT (id) DO NOTHING;
    IF FOUND THEN
      INSERT INTO inbox_heads (user_id) VALUES (p_user);
    END IF;
  ELSIF v.erased_at IS NOT NULL THEN
    RETURN 'erased';
  ELSIF p_name <> p_user AND v.claimed_name IS DISTINCT FROM p_name AND coalesce(v.claimed_at <= p_issued_at, true) THEN
    UPDATE users u SET display_name = p_name, display_name_folded = p_folded, claimed_name = p_name, claimed_at = p_issued_at
     WHERE u.id = p_user AND u.erased_at IS NULL;
  END IF;
  -- Also the first second after a sign-out is before it: tokens say only the second.
  IF EXISTS (SELECT 1 FROM revocations r WHERE r.user_id = p_user AND r.device_id = p_device AND r.revoked_at >= p_issued_at) THEN
    RETURN 'signed_out';
  END IF;
  INSERT INTO devices AS d (user_id, id, expires_at) VALUES (p_user, p_device, now() + p_span)
  ON CONFLICT (user_id, id) DO UPDATE SET last_seen_at = now(), expires_at = excluded.expires_at
    WHERE d.last_seen_at < now() - interval '10 minutes'
  RETURNING xmax = 0 INTO v_is_new;
  -- A client may name as many as it likes: those longest not seen make room.
  IF v_is_new THEN
    DELETE FROM devices d WHERE d.user_id = p_user
      AND d.id IN (SELECT o.id FROM devices o WHERE o.user_id = p_user ORDER BY o.last_seen_at DESC OFFSET 100);
  END IF;
  RETURN 'admitted';
END $$;
