-- Many nodes over a Postgres that may be promoted under them, or restored: cursors given out since its backup are of a
-- future that is lost.

-- Whether every acknowledged commit was on a synchronous standby when last looked at. Replicated like everything else,
-- so that a promoted standby can tell whether it may have missed any.
ALTER TABLE database_epoch ADD COLUMN synchronous boolean NOT NULL DEFAULT false;

CREATE FUNCTION draw_epoch() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT replace(gen_random_uuid()::text, '-', '') $$;

CREATE FUNCTION current_timeline() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE read_only_sql_transaction USING MESSAGE = 'this server is a standby';
  END IF;
  RETURN left(pg_walfile_name(pg_current_wal_lsn()), 8);
END $$;

CREATE FUNCTION has_synchronous_standby() RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT current_setting('synchronous_standby_names') <> '' AND current_setting('synchronous_commit') NOT IN ('off', 'local')
$$;

-- Which database this is: of which cluster, and made when. A dump that is restored makes it anew, also in its own cluster.
CREATE FUNCTION current_place() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
    (SELECT oid FROM pg_database WHERE datname = current_database()), 'database_epoch'::regclass::oid)
$$;

ALTER TABLE database_epoch RENAME COLUMN system_identifier TO place;

UPDATE database_epoch SET place = current_place()
 WHERE place = (SELECT system_identifier::text FROM pg_control_system());

-- The database's epoch, for whoever appends to inboxes: raises LW001 where it is not settled yet, so that nothing is ever
-- committed on a new timeline under the epoch of the old one. settle_epoch(), then the same again.
CREATE FUNCTION current_epoch() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v database_epoch;
BEGIN
  SELECT * INTO v FROM database_epoch;
  IF v.epoch IS NULL OR v.timeline <> current_timeline() OR v.synchronous <> has_synchronous_standby()
    OR v.place <> current_place() THEN
    RAISE EXCEPTION 'the epoch is not settled' USING ERRCODE = 'LW001';
  END IF;
  RETURN v.epoch;
END $$;

-- Settles the epoch: drawn anew in another database, and on another timeline unless a synchronous standby was promoted,
-- which has all that was ever acknowledged. One that has received nothing from a primary since it started is none: it was
-- restored from a backup, whose mark says what once was.
CREATE OR REPLACE FUNCTION settle_epoch() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_place text := current_place();
  v_timeline text := current_timeline();
  v_synchronous boolean := has_synchronous_standby();
  v database_epoch;
BEGIN
  INSERT INTO database_epoch (epoch, place, timeline, synchronous, drawn_at)
  VALUES (draw_epoch(), v_place, v_timeline, v_synchronous, now()) ON CONFLICT DO NOTHING;
  SELECT * INTO v FROM database_epoch FOR UPDATE;
  IF v.place <> v_place OR (v.timeline <> v_timeline AND (NOT v.synchronous OR pg_last_wal_receive_lsn() IS NULL)) THEN
    v.epoch := draw_epoch();
    v.drawn_at := now();
  END IF;
  UPDATE database_epoch d SET epoch = v.epoch, drawn_at = v.drawn_at, place = v_place,
      timeline = v_timeline, synchronous = v_synchronous
    WHERE (d.epoch, d.place, d.timeline, d.synchronous) <> (v.epoch, v_place, v_timeline, v_synchronous);
  RETURN v.epoch;
END $$;

-- Draws the epoch anew since this database was found to lack what it once acknowledged; once, whoever else found it too.
CREATE FUNCTION redraw_epoch(p_epoch text) RETURNS void LANGUAGE sql VOLATILE AS $$
  UPDATE database_epoch SET epoch = draw_epoch(), drawn_at = now(), place = current_place(),
      timeline = current_timeline(), synchronous = has_synchronous_standby()
    WHERE epoch = p_epoch
$$;
