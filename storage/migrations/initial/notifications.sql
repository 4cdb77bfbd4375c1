-- The verified notifications of providers, raw, each once; `repeats` counts the same content again.
CREATE TABLE notifications (
    id uuid PRIMARY KEY,
    provider text NOT NULL,
    account text NOT NULL,
    notification_id text NOT NULL,
    kind text NOT NULL CONSTRAINT notifications_kind_known
        CHECK (kind IN ('payment', 'refund', 'store')),
    reference text NOT NULL,
    -- No foreign key: a provider may name a payment that is not ours.
    payment_id uuid,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    content_hash bytea,
    received_at timestamptz NOT NULL,
    repeats bigint NOT NULL DEFAULT 0,
    last_received_at timestamptz,
    outcome text NOT NULL DEFAULT 'received' CONSTRAINT notifications_outcome_known
        CHECK (outcome IN ('received', 'signalled', 'duplicate', 'late', 'mismatch', 'foreign',
                           'excess', 'unknown_reference', 'ignored')),
    detail text NOT NULL DEFAULT '',
    CONSTRAINT notifications_one_per_content UNIQUE (provider, account, content_hash)
);

CREATE INDEX notifications_by_message ON notifications (provider, account, notification_id);
CREATE INDEX notifications_by_payment ON notifications (payment_id, received_at);
-- Notifications about no payment of ours are counted by account and day, and bounded.
CREATE INDEX notifications_foreign ON notifications (provider, account, received_at)
    WHERE outcome = 'foreign';
CREATE INDEX notifications_unknown_reference ON notifications (provider, account, received_at)
    WHERE outcome = 'unknown_reference';
-- What `forget_notifications` looks for.
CREATE INDEX notifications_to_forget ON notifications (received_at) WHERE body <> '';

-- A notification is evidence: stored as it was received, or erased; its outcome stays.
CREATE FUNCTION guard_notification() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.body <> OLD.body AND NEW.body <> ''
       OR NEW.headers <> OLD.headers AND NEW.headers <> '{}'
       OR (NEW.provider, NEW.account, NEW.notification_id, NEW.kind, NEW.reference, NEW.payment_id,
           NEW.content_hash, NEW.received_at) IS DISTINCT FROM
          (OLD.provider, OLD.account, OLD.notification_id, OLD.kind, OLD.reference, OLD.payment_id,
           OLD.content_hash, OLD.received_at)
       OR NEW.repeats < OLD.repeats
       OR NEW.outcome <> OLD.outcome AND OLD.outcome IN ('signalled', 'late', 'mismatch') THEN
        PERFORM raise_violation('notifications_evidence_fixed',
                       'A notification stays as it was received, or is erased.');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON notifications
    FOR EACH ROW EXECUTE FUNCTION guard_notification();
