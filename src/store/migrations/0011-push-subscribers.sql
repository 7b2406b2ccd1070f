-- Who subscribed since a node last looked: a node remembers who does not want to be woken.
CREATE INDEX push_subscriptions_by_time ON push_subscriptions (created_at);
