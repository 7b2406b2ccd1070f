import { type Change, spoil } from '../../support/sql-functions.ts'

const BEFORE_THE_LOCK = '  PERFORM 1 FROM conversations c WHERE c.id = ANY (p_conversations)'
const FOR_SENDS = 'h.last_id + row_number() OVER (PARTITION BY m.user_id ORDER BY g.n)'
const FOR_EVENTS = 'h.last_id + row_number() OVER (PARTITION BY g.user_id ORDER BY g.n)'
const SET_HEAD = 'SET last_id = c.last_id,'
const NEVER_BACK: Change = [SET_HEAD, 'SET last_id = greatest(h.last_id, c.last_id),']
const UNLOCKED = spoil('lock_heads', [' FOR NO KEY UPDATE OF h', ''])
/** Gives a race that is there anyway the time to happen. */
const DAWDLE = 'PERFORM pg_sleep(0.01 * random());'

const SEQUENCES = `
  CREATE FUNCTION make_inbox_sequence() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    EXECUTE format('CREATE SEQUENCE %I', 'inbox_' || NEW.user_id);
    RETURN NEW;
  END $$;
  CREATE TRIGGER inbox_sequence BEFORE INSERT ON inbox_heads FOR EACH ROW EXECUTE FUNCTION make_inbox_sequence();
  CREATE FUNCTION next_inbox_id(p_user text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
  DECLARE
    v_id bigint := nextval(format('%I', 'inbox_' || p_user)::regclass);
  BEGIN
    -- Sooner or later than others who draw now: longer than a reader waits for what overtook.
    IF random() < 0.03 THEN PERFORM pg_sleep(0.12 * random()); END IF;
    RETURN v_id;
  END $$;`

/** Bugs of the store: statements that put them into a database that was migrated. */
export const SQL_BUGS = {
  'inbox ids from a sequence': [
    SEQUENCES,
    UNLOCKED,
    spoil('append_events', [FOR_EVENTS, 'next_inbox_id(g.user_id)'], NEVER_BACK),
    spoil('commit_sends', [FOR_SENDS, 'next_inbox_id(m.user_id)'], NEVER_BACK),
  ],
  'heads not locked': [
    UNLOCKED,
    spoil('commit_sends', ['  -- The heads are locked', `  ${DAWDLE}\n  -- The heads are locked`]),
  ],
  'heads locked in random order': [
    spoil(
      'lock_heads',
      ['ORDER BY h.user_id FOR', 'ORDER BY random() FOR'],
      // Before each lock, a moment for somebody else to take the next.
      ['    SELECT h.last_at FROM', '    SELECT h.last_at, pg_sleep(0.002 * random()) FROM'],
    ),
  ],
  'no membership check': [
    spoil('commit_sends', [
      "WHEN g.sender_id IS NOT NULL AND m.user_id IS NULL THEN 'not_found'",
      "WHEN g.sender_id IS NOT NULL AND m.user_id IS NULL THEN 'created'",
    ]),
  ],
  'members read before the conversation is locked': [
    spoil(
      'commit_sends',
      ['  v_made uuid[];', '  v_made uuid[];\n  v_rooms uuid[];\n  v_present text[];'],
      [
        BEFORE_THE_LOCK,
        `  SELECT array_agg(e.conversation_id), array_agg(e.user_id) INTO v_rooms, v_present
           FROM members e WHERE e.conversation_id = ANY (p_conversations);
         ${DAWDLE}\n${BEFORE_THE_LOCK}`,
      ],
      [
        'JOIN members m ON m.conversation_id = g.conversation_id\n      JOIN inbox_heads',
        'JOIN unnest(v_rooms, v_present) AS m (conversation_id, user_id) ON m.conversation_id = g.conversation_id\n      JOIN inbox_heads',
      ],
      [
        'FROM members m WHERE m.conversation_id = ANY (v_made)',
        'FROM unnest(v_rooms, v_present) AS m (conversation_id, user_id) WHERE m.conversation_id = ANY (v_made)',
      ],
    ),
  ],
  'keys looked up before the conversation is locked': [
    spoil(
      'commit_sends',
      ['  v_made uuid[];', '  v_made uuid[];\n  v_known send_keys[];'],
      [
        BEFORE_THE_LOCK,
        `  SELECT array_agg(e) INTO v_known FROM send_keys e
           JOIN unnest(p_senders, p_keys) AS g (sender_id, key) ON e.sender_id = g.sender_id AND e.key = g.key;
         ${DAWDLE}\n${BEFORE_THE_LOCK}`,
      ],
      ['LEFT JOIN send_keys k ON', 'LEFT JOIN unnest(v_known) k ON'],
      ['ORDER BY g.sender_id, g.key;', 'ORDER BY g.sender_id, g.key ON CONFLICT DO NOTHING;'],
    ),
  ],
  'commits that do not wait for the disk': [
    spoil('commit_sends', [
      BEFORE_THE_LOCK,
      `  PERFORM set_config('synchronous_commit', 'off', true);\n${BEFORE_THE_LOCK}`,
    ]),
  ],
} as const satisfies Record<string, readonly string[]>
