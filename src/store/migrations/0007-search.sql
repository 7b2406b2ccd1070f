-- Search: what each message is found by, made in the background from its text (src/store/search/), so that no send waits
-- for it or fails of it.

-- A row per message, or several for a long text. `words` has, beside the words, a lexeme for the conversation: a word
-- of few conversations is found without looking at all that the others say.
CREATE TABLE search_words (
  conversation_id uuid NOT NULL,
  seq bigint NOT NULL,
  created_at timestamptz NOT NULL,
  -- Where this part of the text begins, in code points.
  text_from int NOT NULL DEFAULT 0,
  words tsvector NOT NULL,
  PRIMARY KEY (conversation_id, seq, created_at, text_from)
) PARTITION BY RANGE (created_at);
-- What is planned here depends on how common a word is.
ALTER TABLE search_words ALTER COLUMN words SET STATISTICS 500;
CREATE INDEX search_words_by_word ON search_words USING gin (words);
CREATE INDEX search_words_by_time ON search_words (created_at, conversation_id, seq);
CREATE TABLE search_words_default PARTITION OF search_words DEFAULT;

-- Messages whose words are not up to date, a few hundred in a row; deleted by whoever brought them up to date.
CREATE TABLE search_queue (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  conversation_ids uuid[] NOT NULL,
  seqs bigint[] NOT NULL,
  created_ats timestamptz[] NOT NULL,
  -- Whether there may be words of an older text.
  again boolean NOT NULL DEFAULT false
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

CREATE FUNCTION queue_for_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO search_queue (conversation_ids, seqs, created_ats)
  SELECT array_agg(n.conversation_id), array_agg(n.seq), array_agg(n.created_at)
    FROM (SELECT m.conversation_id, m.seq, m.created_at, (row_number() OVER () - 1) / 500 AS part FROM new_messages m) n
   GROUP BY n.part;
  RETURN NULL;
END $$;
CREATE TRIGGER messages_are_searched AFTER INSERT ON messages
  REFERENCING NEW TABLE AS new_messages FOR EACH STATEMENT EXECUTE FUNCTION queue_for_search();

-- The words of a text go with it, in the same transaction; those of its successor come by the queue.
CREATE FUNCTION forget_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM search_words s
   WHERE s.conversation_id = OLD.conversation_id AND s.seq = OLD.seq AND s.created_at = OLD.created_at;
  INSERT INTO search_queue (conversation_ids, seqs, created_ats, again)
  VALUES (ARRAY[NEW.conversation_id], ARRAY[NEW.seq], ARRAY[NEW.created_at], true);
  RETURN NULL;
END $$;
CREATE TRIGGER words_follow_texts AFTER UPDATE OF text ON messages
  FOR EACH ROW WHEN (OLD.text IS DISTINCT FROM NEW.text) EXECUTE FUNCTION forget_words();

-- What was said before there was search.
INSERT INTO search_queue (conversation_ids, seqs, created_ats)
SELECT array_agg(n.conversation_id), array_agg(n.seq), array_agg(n.created_at)
  FROM (SELECT m.conversation_id, m.seq, m.created_at, (row_number() OVER () - 1) / 500 AS part FROM messages m) n
 GROUP BY n.part;

-- Makes the partitions of search_words, a year each, this one and the next.
CREATE FUNCTION keep_search_partitions() RETURNS void LANGUAGE sql AS $$
  SELECT make_partition('search_words', 'created_at', 'search_words_' || to_char(year AT TIME ZONE 'UTC', 'YYYY'), year, year + interval '1 year')
    FROM generate_series(date_trunc('year', now(), 'UTC'), now() + interval '1 year', '1 year') AS year
$$;

-- Times as whole numbers, microseconds since 1970: a place in a list of results, exact.
CREATE FUNCTION to_micros(p_at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT (extract(epoch FROM p_at) * 1000000)::bigint
$$;
CREATE FUNCTION from_micros(p_micros bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
  SELECT timestamptz 'epoch' + p_micros * interval '1 microsecond'
$$;
