-- Inbox events over the retention go by partition without a send that waits: the partition is taken off in a moment, or not
-- at all just now, and dropped when nobody's statement can see it any more.

-- Makes the inbox's partitions, a week each, around now, and takes what is over the retention from the default one.
CREATE OR REPLACE FUNCTION keep_inbox_partitions(p_retention interval) RETURNS void LANGUAGE sql AS $$
  SELECT make_partition('inbox', 'at', 'inbox_' || to_char(week AT TIME ZONE 'UTC', 'YYYYMMDD'), week, week + interval '1 week')
    FROM generate_series(date_trunc('week', now(), 'UTC') - interval '1 week', now() + interval '3 weeks', '1 week') AS week;
  DELETE FROM inbox_default WHERE at < now() - p_retention;
$$;

-- Takes off one partition that is wholly over the retention; null if there is none. It needs the whole inbox for a moment
-- (CONCURRENTLY is not to be had beside a default partition): run it with a short lock_timeout.
CREATE FUNCTION detach_inbox_partition(p_retention interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_part text;
BEGIN
  SELECT min(c.relname) INTO v_part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent = 'inbox'::regclass AND c.relname ~ '^inbox_[0-9]{8}$'
     AND to_timestamp(right(c.relname, 8) || ' UTC', 'YYYYMMDD TZ') + interval '1 week' < now() - p_retention;
  IF v_part IS NOT NULL THEN
    EXECUTE format('ALTER TABLE inbox DETACH PARTITION %I', v_part);
  END IF;
  RETURN v_part;
END $$;

-- Drops what was taken off, now or before a crash.
CREATE FUNCTION drop_detached_inbox_partitions(p_retention interval) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  part record;
BEGIN
  FOR part IN SELECT c.relname FROM pg_class c
               WHERE c.relname ~ '^inbox_[0-9]{8}$' AND c.relkind = 'r' AND NOT c.relispartition
                 AND c.relnamespace = (SELECT p.relnamespace FROM pg_class p WHERE p.oid = 'inbox'::regclass)
                 AND to_timestamp(right(c.relname, 8) || ' UTC', 'YYYYMMDD TZ') + interval '1 week' < now() - p_retention LOOP
    EXECUTE format('DROP TABLE %I', part.relname);
  END LOOP;
END $$;
