-- The core of the store: people, devices, conversations, messages, inboxes.
-- Every table has its distribution column (user or conversation) first in its primary key, or the hash it is found by.
-- Columns that change with every message are never indexed, so that their updates stay HOT.

CREATE TYPE event_type AS ENUM (
  'message.created', 'message.edited', 'message.deleted', 'reaction.added', 'reaction.removed',
  'conversation.created', 'conversation.updated', 'conversation.read',
  'member.added', 'member.removed', 'member.updated', 'announcement'
);
CREATE TYPE conversation_kind AS ENUM ('direct', 'group');
CREATE TYPE conversation_history AS ENUM ('joined', 'all');
CREATE TYPE member_role AS ENUM ('owner', 'admin', 'member');
CREATE TYPE message_kind AS ENUM ('user', 'system');

-- Which life of this database cursors belong to. Another cluster or timeline is another life.
CREATE TABLE database_epoch (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch text NOT NULL,
  system_identifier text NOT NULL,
  timeline text NOT NULL,
  drawn_at timestamptz NOT NULL
);

-- Keys that all nodes share; the first to make one wins.
CREATE TABLE secrets (name text PRIMARY KEY, value text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());

CREATE TABLE users (
  id text PRIMARY KEY,
  username text,
  display_name text NOT NULL,
  -- Lower-case forms, folded by the server so that they are the same in every locale.
  username_folded text UNIQUE,
  display_name_folded text NOT NULL,
  password_hash text,
  data jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX users_by_username ON users (username_folded text_pattern_ops);
CREATE INDEX users_by_display_name ON users (display_name_folded text_pattern_ops);

CREATE TABLE devices (
  user_id text NOT NULL,
  id text NOT NULL,
  name text,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  cookie_hash bytea UNIQUE,
  cursor_epoch text,
  cursor_id bigint,
  lease_until timestamptz,
  active boolean,
  PRIMARY KEY (user_id, id)
) WITH (fillfactor = 80);

-- A chain per device: each token's successor is derived from it, so that a lost answer can be given again.
CREATE TABLE refresh_tokens (
  hash bytea PRIMARY KEY,
  user_id text NOT NULL,
  device_id text NOT NULL,
  predecessor_hash bytea,
  spent_at timestamptz,
  successor_spent_at timestamptz,
  expires_at timestamptz NOT NULL,
  FOREIGN KEY (user_id, device_id) REFERENCES devices ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_by_device ON refresh_tokens (user_id, device_id);

-- Devices whose access tokens may still be young enough to verify; every node reads on here.
CREATE TABLE revocations (
  user_id text NOT NULL,
  device_id text NOT NULL,
  revoked_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, device_id)
);
CREATE INDEX revocations_by_time ON revocations (revoked_at);

CREATE TABLE stream_tickets (
  hash bytea PRIMARY KEY,
  user_id text NOT NULL,
  device_id text NOT NULL,
  expires_at timestamptz NOT NULL
);

-- First answers to creating requests, sealed with the caller's own key; kept 24 h.
CREATE TABLE idempotency_keys (
  sender text NOT NULL,
  key_hash bytea NOT NULL,
  request_hash bytea NOT NULL,
  status int,
  answer bytea,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (sender, key_hash)
);

CREATE TABLE conversations (
  id uuid PRIMARY KEY,
  kind conversation_kind NOT NULL,
  title text,
  data jsonb NOT NULL DEFAULT '{}',
  history conversation_history NOT NULL DEFAULT 'joined',
  created_at timestamptz NOT NULL,
  members_count int NOT NULL,
  last_seq bigint NOT NULL DEFAULT 0,
  last_activity_at timestamptz NOT NULL
) WITH (fillfactor = 60);

CREATE TABLE direct_conversations (
  user_a text NOT NULL,
  user_b text NOT NULL CHECK (user_a COLLATE "C" < user_b COLLATE "C"),
  conversation_id uuid NOT NULL,
  PRIMARY KEY (user_a, user_b)
);

CREATE TABLE members (
  conversation_id uuid NOT NULL,
  user_id text NOT NULL,
  role member_role NOT NULL,
  joined_at timestamptz NOT NULL,
  -- The first seq this member may see.
  from_seq bigint NOT NULL,
  read_seq bigint NOT NULL,
  muted boolean NOT NULL DEFAULT false,
  hidden boolean NOT NULL DEFAULT false,
  PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 80);
CREATE INDEX members_by_user ON members (user_id, conversation_id);

CREATE TABLE messages (
  conversation_id uuid NOT NULL,
  seq bigint NOT NULL,
  id uuid NOT NULL,
  kind message_kind NOT NULL DEFAULT 'user',
  sender_id text,
  text text NOT NULL,
  client_id text,
  reply_to bigint,
  data jsonb,
  created_at timestamptz NOT NULL,
  edited_at timestamptz,
  deleted_at timestamptz,
  PRIMARY KEY (conversation_id, seq)
);

-- Which message a sender's key made, for ever.
CREATE TABLE send_keys (
  sender_id text NOT NULL,
  key text NOT NULL,
  request_hash bytea NOT NULL,
  -- Null for the key of a multicast as a whole: its recipients have keys of their own.
  conversation_id uuid,
  seq bigint,
  PRIMARY KEY (sender_id, key)
);

CREATE TABLE inbox_heads (
  user_id text PRIMARY KEY,
  last_id bigint NOT NULL DEFAULT 0,
  last_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);

-- References, never text. Partitioned by time, so that what is over the retention is dropped, not deleted.
CREATE TABLE inbox (
  user_id text NOT NULL,
  id bigint NOT NULL,
  at timestamptz NOT NULL,
  type event_type NOT NULL,
  conversation_id uuid,
  seq bigint,
  detail jsonb,
  PRIMARY KEY (user_id, id, at)
) PARTITION BY RANGE (at);
-- Catches a clock that is weeks wrong: late housekeeping is better than a refused send.
CREATE TABLE inbox_default PARTITION OF inbox DEFAULT;
