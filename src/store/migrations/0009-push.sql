-- Waking people up: the browsers that want it, and what they were rung for.

-- A browser's PushSubscription, of the device that it signed in as. A browser has one endpoint: registered for another
-- device it leaves the former.
CREATE TABLE push_subscriptions (
  user_id text NOT NULL,
  device_id text NOT NULL,
  endpoint text NOT NULL,
  -- SHA-256: an endpoint may be longer than an index takes.
  endpoint_hash bytea NOT NULL UNIQUE,
  p256dh text NOT NULL,
  auth text NOT NULL,
  -- The key that this deployment had when the browser subscribed: no other can send to it.
  vapid_public_key text NOT NULL,
  -- Whether this browser allows a push that shows nothing.
  silent boolean NOT NULL DEFAULT false,
  -- The last of these, and how many there were since the device was last seen.
  withdrawn_at timestamptz,
  withdrawals int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, device_id),
  FOREIGN KEY (user_id, device_id) REFERENCES devices ON DELETE CASCADE
);
