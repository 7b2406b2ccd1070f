-- Everything that appends to an inbox. All writers take locks in one order: conversations by id, then heads by user,
-- so that they never deadlock; ids come from the locked heads, so that commit order is id order.

-- Locks heads in order and returns the time of what is about to be appended: never before what is there.
CREATE FUNCTION lock_heads(p_users text[]) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  latest timestamptz;
BEGIN
  SELECT max(locked.last_at) INTO latest FROM (
    SELECT h.last_at FROM unnest(p_users) AS u (user_id) JOIN inbox_heads h ON h.user_id = u.user_id
    ORDER BY h.user_id FOR NO KEY UPDATE OF h) locked;
  RETURN date_trunc('milliseconds', greatest(clock_timestamp(), latest));
END $$;

-- Appends rows (user, type, conversation, seq, detail), in the order given, to inboxes. The conversation is locked by the caller.
CREATE FUNCTION append_events(p_users text[], p_types text[], p_conversations uuid[], p_seqs bigint[], p_details text[])
RETURNS TABLE (n bigint, user_id text, id bigint, at timestamptz)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_at timestamptz := lock_heads((SELECT array_agg(DISTINCT u.user_id) FROM unnest(p_users) AS u (user_id)));
BEGIN
  RETURN QUERY
  WITH placed AS (
    SELECT g.*, h.last_id + row_number() OVER (PARTITION BY g.user_id ORDER BY g.n) AS id
      FROM unnest(p_users, p_types, p_conversations, p_seqs, p_details) WITH ORDINALITY
             AS g (user_id, type, conversation_id, seq, detail, n)
      JOIN inbox_heads h ON h.user_id = g.user_id),
  moved AS (
    UPDATE inbox_heads h SET last_id = c.last_id, last_at = v_at
      FROM (SELECT p.user_id, max(p.id) AS last_id FROM placed p GROUP BY p.user_id) c
     WHERE h.user_id = c.user_id),
  written AS (
    INSERT INTO inbox (user_id, id, at, type, conversation_id, seq, detail)
    SELECT p.user_id, p.id, v_at, p.type::event_type, p.conversation_id, p.seq, p.detail::jsonb FROM placed p)
  SELECT p.n, p.user_id, p.id, v_at FROM placed p ORDER BY p.n;
END $$;

-- Commits a group of sends: one round trip, one fsync for all. Each step is a statement of its own, so that it sees what
-- was committed while the step before it waited for a lock. A row per send, in order:
--   status 'created' | 'replayed' | 'mismatch' | 'not_found' | 'reply_not_found'; recipients and their new inbox ids.
-- A unique violation on send_keys means that another group took a key meanwhile: run this again, it will see the replay.
CREATE FUNCTION commit_sends(
  p_senders text[], p_keys text[], p_hashes bytea[], p_conversations uuid[], p_ids uuid[],
  p_texts text[], p_client_ids text[], p_replies bigint[], p_data text[])
RETURNS TABLE (n bigint, status text, seq bigint, at timestamptz, recipients text[], inbox_ids bigint[])
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_status text[];
  v_seq bigint[];
  v_made uuid[];
  v_users text[];
  v_at timestamptz;
BEGIN
  PERFORM 1 FROM conversations c WHERE c.id = ANY (p_conversations) ORDER BY c.id FOR NO KEY UPDATE;

  -- Replays first: a key answers as it did, whatever became of the membership since.
  SELECT array_agg(s.status ORDER BY s.n),
         array_agg(CASE s.status WHEN 'created' THEN s.last_seq + s.step WHEN 'replayed' THEN s.replay_seq END ORDER BY s.n),
         array_agg(DISTINCT s.conversation_id) FILTER (WHERE s.status = 'created')
    INTO v_status, v_seq, v_made
    FROM (SELECT j.*, row_number() OVER (PARTITION BY j.conversation_id, j.status ORDER BY j.n) AS step
            FROM (SELECT g.n, g.conversation_id, c.last_seq, k.seq AS replay_seq,
                         CASE WHEN k.request_hash = g.hash THEN 'replayed'
                              WHEN k.request_hash IS NOT NULL THEN 'mismatch'
                              WHEN m.user_id IS NULL THEN 'not_found'
                              WHEN g.reply < m.from_seq OR g.reply > c.last_seq THEN 'reply_not_found'
                              ELSE 'created' END AS status
                    FROM unnest(p_senders, p_keys, p_hashes, p_conversations, p_replies) WITH ORDINALITY
                           AS g (sender_id, key, hash, conversation_id, reply, n)
                    LEFT JOIN conversations c ON c.id = g.conversation_id
                    LEFT JOIN members m ON m.conversation_id = g.conversation_id AND m.user_id = g.sender_id
                    LEFT JOIN send_keys k ON k.sender_id = g.sender_id AND k.key = g.key) j) s;

  IF v_made IS NOT NULL THEN
    INSERT INTO send_keys (sender_id, key, request_hash, conversation_id, seq)
    SELECT g.sender_id, g.key, g.hash, g.conversation_id, g.seq
      FROM unnest(p_senders, p_keys, p_hashes, p_conversations, v_seq, v_status) AS g (sender_id, key, hash, conversation_id, seq, status)
     WHERE g.status = 'created'
     ORDER BY g.sender_id, g.key;

    SELECT array_agg(DISTINCT m.user_id) INTO v_users FROM members m WHERE m.conversation_id = ANY (v_made);
    v_at := lock_heads(v_users);

    INSERT INTO messages (conversation_id, seq, id, sender_id, text, client_id, reply_to, data, created_at)
    SELECT g.conversation_id, g.seq, g.id, g.sender_id, g.text, g.client_id, g.reply, g.data::jsonb, v_at
      FROM unnest(p_conversations, v_seq, p_ids, p_senders, p_texts, p_client_ids, p_replies, p_data, v_status)
             AS g (conversation_id, seq, id, sender_id, text, client_id, reply, data, status)
     WHERE g.status = 'created';

    UPDATE conversations c SET last_seq = g.last_seq, last_activity_at = v_at
      FROM (SELECT u.conversation_id, max(u.seq) AS last_seq
              FROM unnest(p_conversations, v_seq, v_status) AS u (conversation_id, seq, status)
             WHERE u.status = 'created' GROUP BY u.conversation_id) g
     WHERE c.id = g.conversation_id;
  END IF;

  -- The heads are locked, so what they say here is what is counted on from. Joining the rows with what the UPDATE
  -- returns instead would be planned as a nested loop over the whole group, squared.
  RETURN QUERY
  WITH placed AS (
    SELECT g.n, m.user_id, g.conversation_id, g.seq,
           h.last_id + row_number() OVER (PARTITION BY m.user_id ORDER BY g.n) AS id
      FROM unnest(p_conversations, v_seq, v_status) WITH ORDINALITY AS g (conversation_id, seq, status, n)
      JOIN members m ON m.conversation_id = g.conversation_id
      JOIN inbox_heads h ON h.user_id = m.user_id
     WHERE g.status = 'created'),
  moved AS (
    UPDATE inbox_heads h SET last_id = c.last_id, last_at = v_at
      FROM (SELECT p.user_id, max(p.id) AS last_id FROM placed p GROUP BY p.user_id) c
     WHERE h.user_id = c.user_id),
  written AS (
    INSERT INTO inbox (user_id, id, at, type, conversation_id, seq)
    SELECT p.user_id, p.id, v_at, 'message.created', p.conversation_id, p.seq FROM placed p)
  SELECT p.n, 'created', p.seq, v_at, array_agg(p.user_id), array_agg(p.id)
    FROM placed p GROUP BY p.n, p.seq
   UNION ALL
  SELECT g.n, g.status, g.seq, NULL, NULL, NULL
    FROM unnest(v_status, v_seq) WITH ORDINALITY AS g (status, seq, n) WHERE g.status <> 'created'
   ORDER BY 1;
END $$;

-- Opens direct conversations between one user and others, set-wise. A row per peer that exists; `created` if it is new.
CREATE FUNCTION open_direct_conversations(p_user text, p_peers text[], p_ids uuid[])
RETURNS TABLE (peer text, conversation_id uuid, created boolean)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO direct_conversations (user_a, user_b, conversation_id)
  SELECT least(p_user COLLATE "C", g.peer), greatest(p_user COLLATE "C", g.peer), g.id
    FROM unnest(p_peers, p_ids) AS g (peer, id) JOIN users u ON u.id = g.peer
   WHERE g.peer <> p_user
   ORDER BY 1, 2
  ON CONFLICT DO NOTHING;

  -- A statement of its own: it sees what another transaction made while this one waited for it.
  RETURN QUERY
  WITH opened AS (
    SELECT g.peer, d.conversation_id, d.conversation_id = g.id AS created
      FROM unnest(p_peers, p_ids) AS g (peer, id)
      JOIN direct_conversations d
        ON d.user_a = least(p_user COLLATE "C", g.peer) AND d.user_b = greatest(p_user COLLATE "C", g.peer)),
  made AS (
    INSERT INTO conversations (id, kind, created_at, members_count, last_activity_at)
    SELECT o.conversation_id, 'direct', t.at, 2, t.at
      FROM opened o, date_trunc('milliseconds', clock_timestamp()) AS t (at) WHERE o.created),
  joined AS (
    INSERT INTO members (conversation_id, user_id, role, joined_at, from_seq, read_seq)
    SELECT o.conversation_id, m.user_id, 'member', date_trunc('milliseconds', clock_timestamp()), 1, 0
      FROM opened o CROSS JOIN LATERAL (VALUES (p_user), (o.peer)) AS m (user_id) WHERE o.created)
  SELECT o.peer, o.conversation_id, o.created FROM opened o;
END $$;

-- Makes the inbox's partitions, a week each, around now, and drops those wholly over the retention.
CREATE FUNCTION keep_inbox_partitions(p_retention interval) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  week timestamptz;
  part_name text;
  part record;
BEGIN
  FOR week IN SELECT generate_series(date_trunc('week', now(), 'UTC') - interval '1 week', now() + interval '3 weeks', '1 week') LOOP
    IF to_regclass(format('inbox_%s', to_char(week AT TIME ZONE 'UTC', 'YYYYMMDD'))) IS NULL THEN
      part_name := format('inbox_%s', to_char(week AT TIME ZONE 'UTC', 'YYYYMMDD'));
      EXECUTE format('CREATE TABLE %I (LIKE inbox INCLUDING ALL)', part_name);
      -- What came before its partition did is in the default one, and would forbid it. Nothing may come in between.
      LOCK TABLE inbox_default IN ACCESS EXCLUSIVE MODE;
      EXECUTE format('WITH moved AS (DELETE FROM inbox_default WHERE at >= %1$L AND at < %2$L RETURNING *)
        INSERT INTO %3$I SELECT * FROM moved', week, week + interval '1 week', part_name);
      EXECUTE format('ALTER TABLE inbox ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        part_name, week, week + interval '1 week');
    END IF;
  END LOOP;
  DELETE FROM inbox_default WHERE at < now() - p_retention;
  FOR part IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'inbox'::regclass AND c.relname ~ '^inbox_[0-9]{8}$' LOOP
    IF to_timestamp(right(part.relname, 8) || ' UTC', 'YYYYMMDD TZ') + interval '1 week' < now() - p_retention THEN
      EXECUTE format('DROP TABLE %I', part.relname);
    END IF;
  END LOOP;
END $$;

-- The epoch of this database, drawn anew when it finds itself in another cluster or on another timeline.
CREATE FUNCTION settle_epoch() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_system text := (SELECT system_identifier::text FROM pg_control_system());
  v_timeline text := left(pg_walfile_name(pg_current_wal_lsn()), 8);
  v_epoch text;
BEGIN
  INSERT INTO database_epoch AS d (epoch, system_identifier, timeline, drawn_at)
  VALUES (replace(gen_random_uuid()::text, '-', ''), v_system, v_timeline, now())
  ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, system_identifier = excluded.system_identifier,
    timeline = excluded.timeline, drawn_at = excluded.drawn_at
    WHERE d.system_identifier <> excluded.system_identifier OR d.timeline <> excluded.timeline;
  SELECT d.epoch INTO v_epoch FROM database_epoch d;
  RETURN v_epoch;
END $$;
