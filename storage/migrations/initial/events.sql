-- The webhook events of a payment, with the state of their delivery.
CREATE TABLE events (
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments (id),
    refund_id uuid REFERENCES refunds (id),
    merchant_id text NOT NULL,
    sequence bigint NOT NULL CONSTRAINT events_sequence_positive CHECK (sequence > 0),
    type text NOT NULL CONSTRAINT events_type_known CHECK (type IN
        ('payment.succeeded', 'payment.failed', 'payment.closed', 'payment.attention',
         'refund.succeeded', 'refund.failed', 'refund.reversed', 'entitlement.changed',
         'entitlement.consumption_requested')),
    attention text,
    -- What the event is about, where a payment may have several of the type.
    subject text,
    data jsonb NOT NULL,
    -- `now()` is when a transaction began: the same for two events of one transaction, and earlier
    -- than the event that another wrote while this one waited for the payment's row.
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),

    delivery text NOT NULL DEFAULT 'waiting' CONSTRAINT events_delivery_known
        CHECK (delivery IN ('waiting', 'delivered', 'given_up', 'no_endpoint')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    delivered_at timestamptz,
    last_attempt_at timestamptz,
    last_http_status integer,
    last_error text,
    -- The merchant's veto in its answer to this event, for an activity that is repeated.
    veto text,

    CONSTRAINT events_in_order UNIQUE (payment_id, sequence),
    CONSTRAINT events_one_per_change
        UNIQUE NULLS NOT DISTINCT (payment_id, refund_id, type, attention, subject)
);

CREATE INDEX events_newest ON events (merchant_id, created_at DESC, id DESC);
CREATE INDEX events_by_refund ON events (refund_id);
CREATE INDEX events_by_subject ON events (payment_id, subject) WHERE subject IS NOT NULL;
-- What the sweep reads.
CREATE INDEX events_waiting ON events (created_at) WHERE delivery = 'waiting';

CREATE TRIGGER not_removable BEFORE DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_removal();

-- The content is fixed but for erasure, attempts only grow, and a delivered event stays delivered.
CREATE FUNCTION guard_event() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.payment_id, NEW.refund_id, NEW.merchant_id, NEW.sequence, NEW.type,
        NEW.attention, NEW.subject, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.payment_id, OLD.refund_id, OLD.merchant_id, OLD.sequence, OLD.type,
        OLD.attention, OLD.subject, OLD.created_at)
       OR NEW.data IS DISTINCT FROM OLD.data
          AND NEW.data IS DISTINCT FROM erased_event(OLD.data) THEN
        PERFORM raise_violation('events_content_fixed', 'The content of an event does not change.');
    END IF;
    IF NEW.attempts < OLD.attempts
       OR OLD.delivery = 'delivered'
          AND (NEW.delivery <> 'delivered' OR NEW.delivered_at IS DISTINCT FROM OLD.delivered_at
               OR NEW.veto IS DISTINCT FROM OLD.veto
                  AND NOT (OLD.veto IS NOT NULL AND coalesce(NEW.veto = '', false))) THEN
        PERFORM raise_violation('events_delivery_final', 'A delivered event stays delivered.');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON events
    FOR EACH ROW EXECUTE FUNCTION guard_event();
