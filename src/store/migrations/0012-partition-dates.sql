-- Which partitions of the inbox are over the retention, asked so that Postgres 15 understands it, too: its to_timestamp()
-- knows no time zones, and nothing was ever taken off there.

-- Up to when a partition of the inbox reaches, by its name.
CREATE FUNCTION inbox_partition_end(p_name text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT to_date(right(p_name, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' + interval '1 week';
$$;

CREATE OR REPLACE FUNCTION detach_inbox_partition(p_retention interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_part text;
BEGIN
  SELECT min(c.relname) INTO v_part FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent = 'inbox'::regclass AND c.relname ~ '^inbox_[0-9]{8}$'
     AND inbox_partition_end(c.relname) < now() - p_retention;
  IF v_part IS NOT NULL THEN
    EXECUTE format('ALTER TABLE inbox DETACH PARTITION %I', v_part);
  END IF;
  RETURN v_part;
END $$;

CREATE OR REPLACE FUNCTION drop_detached_inbox_partitions(p_retention interval) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  part record;
BEGIN
  FOR part IN SELECT c.relname FROM pg_class c
               WHERE c.relname ~ '^inbox_[0-9]{8}$' AND c.relkind = 'r' AND NOT c.relispartition
                 AND c.relnamespace = (SELECT p.relnamespace FROM pg_class p WHERE p.oid = 'inbox'::regclass)
                 AND inbox_partition_end(c.relname) < now() - p_retention LOOP
    EXECUTE format('DROP TABLE %I', part.relname);
  END LOOP;
END $$;
