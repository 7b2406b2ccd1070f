-- The whole life of a message: edits, deletions, reactions, mentions, counts that need no counting; kept for ever, in
-- parts by month.

-- Messages are partitioned by time, so that old parts can be moved to slower disks. Within a conversation `seq` is
-- unique since it is given under the conversation's lock; the key has to name the time as well.
ALTER TABLE messages RENAME TO messages_before;
ALTER TABLE messages_before DROP CONSTRAINT messages_pkey;
-- Beside the message as the wire has them, so that reading it needs no other table.
ALTER TABLE messages_before ADD COLUMN mentions jsonb, ADD COLUMN reactions jsonb;
CREATE TABLE messages (LIKE messages_before INCLUDING DEFAULTS, PRIMARY KEY (conversation_id, seq, created_at))
  PARTITION BY RANGE (created_at);
-- Catches a clock that is months wrong, as the inbox's does.
CREATE TABLE messages_default PARTITION OF messages DEFAULT;
-- What is there already becomes this month's part, reaching back to the beginning.
DO $$
DECLARE
  v_end timestamptz := date_trunc('month', now(), 'UTC') + interval '1 month';
BEGIN
  IF NOT EXISTS (SELECT 1 FROM messages_before) THEN
    DROP TABLE messages_before;
    RETURN;
  END IF;
  WITH moved AS (DELETE FROM messages_before WHERE created_at >= v_end RETURNING *)
  INSERT INTO messages_default SELECT * FROM moved;
  EXECUTE format('ALTER TABLE messages_before RENAME TO messages_%s', to_char(now() AT TIME ZONE 'UTC', 'YYYYMM'));
  EXECUTE format('ALTER TABLE messages ATTACH PARTITION messages_%s FOR VALUES FROM (MINVALUE) TO (%L)',
    to_char(now() AT TIME ZONE 'UTC', 'YYYYMM'), v_end);
END $$;

-- Makes one partition, by the time in p_column, unless it is there.
CREATE FUNCTION make_partition(p_table text, p_column text, p_part text, p_from timestamptz, p_to timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF to_regclass(p_part) IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', p_part, p_table);
  -- What came before its partition did is in the default one, and would forbid it. Nothing may come in between.
  EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', p_table || '_default');
  EXECUTE format('WITH moved AS (DELETE FROM %1$I WHERE %2$I >= %3$L AND %2$I < %4$L RETURNING *) INSERT INTO %5$I SELECT * FROM moved',
    p_table || '_default', p_column, p_from, p_to, p_part);
  EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', p_table, p_part, p_from, p_to);
END $$;

-- Makes the partitions of messages, a month each, from this one to the one after next.
CREATE FUNCTION keep_message_partitions() RETURNS void LANGUAGE sql AS $$
  SELECT make_partition('messages', 'created_at', 'messages_' || to_char(month AT TIME ZONE 'UTC', 'YYYYMM'), month, month + interval '1 month')
    FROM generate_series(date_trunc('month', now(), 'UTC'), now() + interval '2 months', '1 month') AS month
$$;

-- Messages as the wire carries them everywhere but in their own resource: a text of more than 8 KB is cut (finer by the reader).
CREATE VIEW inline_messages AS
SELECT id, conversation_id, seq, kind, sender_id, left(text, 8192) AS text, octet_length(text) > 8192 AS truncated,
  client_id, reply_to, mentions, reactions, data, created_at, edited_at, deleted_at
FROM messages;

-- One of each emoji per person.
CREATE TABLE reactions (
  conversation_id uuid NOT NULL,
  seq bigint NOT NULL,
  emoji text NOT NULL,
  user_id text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (conversation_id, seq, emoji, user_id)
);

-- Whom a message mentions, but for its sender: what `mention_count` counts.
CREATE TABLE mentions (
  user_id text NOT NULL,
  conversation_id uuid NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (user_id, conversation_id, seq)
);

-- Who (`blocked_id`) may not write to whom in a direct conversation. Every send looks here, by its sender.
CREATE TABLE blocks (
  blocked_id text NOT NULL,
  user_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (blocked_id, user_id)
);
CREATE INDEX blocks_by_user ON blocks (user_id, created_at);

-- Whether joins, leaves and titles are told by system messages.
ALTER TABLE conversations ADD COLUMN system_messages boolean NOT NULL DEFAULT false;

-- own_unread: my own messages behind my read mark, so that unread messages are never counted:
-- last_seq - read_seq - own_unread. hidden_seq: hidden until there is a message behind it.
ALTER TABLE members ADD COLUMN own_unread bigint NOT NULL DEFAULT 0, ADD COLUMN hidden_seq bigint;
UPDATE members m SET own_unread = g.own
  FROM (SELECT o.conversation_id, o.user_id, count(*) AS own FROM members o JOIN messages s
          ON s.conversation_id = o.conversation_id AND s.sender_id = o.user_id AND s.seq > o.read_seq GROUP BY 1, 2) g
 WHERE m.conversation_id = g.conversation_id AND m.user_id = g.user_id;
UPDATE members m SET hidden_seq = c.last_seq FROM conversations c WHERE c.id = m.conversation_id AND m.hidden;
ALTER TABLE members DROP COLUMN hidden;

-- When the message was created that an event is about, so that its partition is known; null: with the event.
ALTER TABLE inbox ADD COLUMN message_at timestamptz;

-- As before, with `p_message_ats`.
DROP FUNCTION append_events(text[], text[], uuid[], bigint[], text[]);
CREATE FUNCTION append_events(
  p_users text[], p_types text[], p_conversations uuid[], p_seqs bigint[], p_message_ats text[], p_details text[])
RETURNS TABLE (n bigint, user_id text, id bigint, at timestamptz)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_at timestamptz := lock_heads((SELECT array_agg(DISTINCT u.user_id) FROM unnest(p_users) AS u (user_id)));
BEGIN
  RETURN QUERY
  WITH placed AS (
    SELECT g.*, h.last_id + row_number() OVER (PARTITION BY g.user_id ORDER BY g.n) AS id
      FROM unnest(p_users, p_types, p_conversations, p_seqs, p_message_ats, p_details) WITH ORDINALITY
             AS g (user_id, type, conversation_id, seq, message_at, detail, n)
      JOIN inbox_heads h ON h.user_id = g.user_id),
  moved AS (
    UPDATE inbox_heads h SET last_id = c.last_id, last_at = v_at
      FROM (SELECT p.user_id, max(p.id) AS last_id FROM placed p GROUP BY p.user_id) c
     WHERE h.user_id = c.user_id),
  written AS (
    INSERT INTO inbox (user_id, id, at, type, conversation_id, seq, message_at, detail)
    SELECT p.user_id, p.id, v_at, p.type::event_type, p.conversation_id, p.seq, p.message_at::timestamptz, p.detail::jsonb
      FROM placed p)
  SELECT p.n, p.user_id, p.id, v_at FROM placed p ORDER BY p.n;
END $$;

-- As before, and: a send without a sender is the system's; who is blocked is refused; `p_mentions` are the user names that
-- a text mentions (a JSON list each, folded), answered as the ids of those who are members.
--   status 'created' | 'replayed' | 'mismatch' | 'not_found' | 'reply_not_found' | 'blocked'
DROP FUNCTION commit_sends(text[], text[], bytea[], uuid[], uuid[], text[], text[], bigint[], text[]);
CREATE FUNCTION commit_sends(
  p_senders text[], p_keys text[], p_hashes bytea[], p_conversations uuid[], p_ids uuid[],
  p_texts text[], p_client_ids text[], p_replies bigint[], p_data text[], p_mentions text[])
RETURNS TABLE (n bigint, status text, seq bigint, at timestamptz, recipients text[], inbox_ids bigint[], mentions text)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_status text[];
  v_seq bigint[];
  v_made uuid[];
  v_users text[];
  v_mentions text[];
  v_at timestamptz;
BEGIN
  PERFORM 1 FROM conversations c WHERE c.id = ANY (p_conversations) ORDER BY c.id FOR NO KEY UPDATE;

  -- Replays first: a key answers as it did, whatever became of the membership since. The system's keys are those of ''.
  SELECT array_agg(s.status ORDER BY s.n),
         array_agg(CASE s.status WHEN 'created' THEN s.last_seq + s.step WHEN 'replayed' THEN s.replay_seq END ORDER BY s.n),
         array_agg(DISTINCT s.conversation_id) FILTER (WHERE s.status = 'created')
    INTO v_status, v_seq, v_made
    FROM (SELECT j.*, row_number() OVER (PARTITION BY j.conversation_id, j.status ORDER BY j.n) AS step
            FROM (SELECT g.n, g.conversation_id, c.last_seq, k.seq AS replay_seq,
                         CASE WHEN k.request_hash = g.hash THEN 'replayed'
                              WHEN k.request_hash IS NOT NULL THEN 'mismatch'
                              WHEN c.members_count IS NULL OR c.members_count = 0 THEN 'not_found'
                              WHEN g.sender_id IS NOT NULL AND m.user_id IS NULL THEN 'not_found'
                              WHEN g.reply < m.from_seq OR g.reply > c.last_seq THEN 'reply_not_found'
                              WHEN c.kind = 'direct' AND EXISTS (
                                SELECT 1 FROM blocks b JOIN members o ON o.conversation_id = c.id AND o.user_id = b.user_id
                                 WHERE b.blocked_id = g.sender_id) THEN 'blocked'
                              ELSE 'created' END AS status
                    FROM unnest(p_senders, p_keys, p_hashes, p_conversations, p_replies) WITH ORDINALITY
                           AS g (sender_id, key, hash, conversation_id, reply, n)
                    LEFT JOIN conversations c ON c.id = g.conversation_id
                    LEFT JOIN members m ON m.conversation_id = g.conversation_id AND m.user_id = g.sender_id
                    LEFT JOIN send_keys k ON k.sender_id = coalesce(g.sender_id, '') AND k.key = g.key) j) s;

  IF v_made IS NOT NULL THEN
    INSERT INTO send_keys (sender_id, key, request_hash, conversation_id, seq)
    SELECT coalesce(g.sender_id, ''), g.key, g.hash, g.conversation_id, g.seq
      FROM unnest(p_senders, p_keys, p_hashes, p_conversations, v_seq, v_status) AS g (sender_id, key, hash, conversation_id, seq, status)
     WHERE g.status = 'created'
     ORDER BY g.sender_id, g.key;

    SELECT array_agg(DISTINCT m.user_id) INTO v_users FROM members m WHERE m.conversation_id = ANY (v_made);
    v_at := lock_heads(coalesce(v_users, '{}'));

    IF array_length(array_remove(p_mentions, NULL), 1) > 0 THEN
      SELECT array_agg(CASE WHEN g.names IS NOT NULL THEN mentioned(g.conversation_id, g.names::jsonb)::text END ORDER BY g.n)
        INTO v_mentions
        FROM unnest(p_conversations, p_mentions) WITH ORDINALITY AS g (conversation_id, names, n);
      INSERT INTO mentions (user_id, conversation_id, seq)
      SELECT u.user_id, g.conversation_id, g.seq
        FROM unnest(p_conversations, p_senders, v_seq, v_status, v_mentions) AS g (conversation_id, sender_id, seq, status, mentions),
             jsonb_array_elements_text(g.mentions::jsonb) AS u (user_id)
       WHERE g.status = 'created' AND u.user_id IS DISTINCT FROM g.sender_id;
    END IF;

    INSERT INTO messages (conversation_id, seq, id, kind, sender_id, text, client_id, reply_to, mentions, data, created_at)
    SELECT g.conversation_id, g.seq, g.id, (CASE WHEN g.sender_id IS NULL THEN 'system' ELSE 'user' END)::message_kind,
           g.sender_id, g.text, g.client_id, g.reply, g.mentions::jsonb, g.data::jsonb, v_at
      FROM unnest(p_conversations, v_seq, p_ids, p_senders, p_texts, p_client_ids, p_replies, v_mentions, p_data, v_status)
             AS g (conversation_id, seq, id, sender_id, text, client_id, reply, mentions, data, status)
     WHERE g.status = 'created';

    UPDATE conversations c SET last_seq = g.last_seq, last_activity_at = v_at
      FROM (SELECT u.conversation_id, max(u.seq) AS last_seq
              FROM unnest(p_conversations, v_seq, v_status) AS u (conversation_id, seq, status)
             WHERE u.status = 'created' GROUP BY u.conversation_id) g
     WHERE c.id = g.conversation_id;

    UPDATE members m SET own_unread = m.own_unread + g.sent
      FROM (SELECT u.conversation_id, u.sender_id, count(*) AS sent
              FROM unnest(p_conversations, p_senders, v_status) AS u (conversation_id, sender_id, status)
             WHERE u.status = 'created' GROUP BY u.conversation_id, u.sender_id) g
     WHERE m.conversation_id = g.conversation_id AND m.user_id = g.sender_id;
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
  SELECT p.n, 'created', p.seq, v_at, array_agg(p.user_id), array_agg(p.id), v_mentions[p.n]
    FROM placed p GROUP BY p.n, p.seq
   UNION ALL
  SELECT g.n, g.status, g.seq, NULL, NULL, NULL, NULL
    FROM unnest(v_status, v_seq) WITH ORDINALITY AS g (status, seq, n) WHERE g.status <> 'created'
   ORDER BY 1;
END $$;

-- Those of the user names (folded, a JSON list) that are members of a conversation, as a list of their ids.
CREATE FUNCTION mentioned(p_conversation uuid, p_names jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT coalesce(jsonb_agg(u.id ORDER BY u.id), '[]')
    FROM users u JOIN members m ON m.conversation_id = p_conversation AND m.user_id = u.id
   WHERE u.username_folded IN (SELECT jsonb_array_elements_text(p_names))
$$;
