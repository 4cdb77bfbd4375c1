CREATE TABLE refunds (
    -- The request: the merchant's or, by `cause`, ours or the provider's.
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments (id),
    merchant_id text NOT NULL,
    idempotency_key text NOT NULL CHECK (idempotency_key <> ''),
    request_hash text NOT NULL,
    provider text NOT NULL,
    account text NOT NULL,
    amount bigint NOT NULL CONSTRAINT refunds_amount_positive CHECK (amount > 0),
    currency text NOT NULL CONSTRAINT refunds_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    reason text,
    cause text NOT NULL CONSTRAINT refunds_cause_known CHECK (cause IN
        ('requested', 'late_payment', 'duplicate_payment', 'merchant_veto', 'operator',
         'provider')),
    created_at timestamptz NOT NULL,

    -- The provider's report.
    status text NOT NULL CONSTRAINT refunds_status_known
        CHECK (status IN ('pending', 'succeeded', 'failed', 'reversed')),
    provider_reference text,
    raw_status text,
    refunded_at timestamptz,
    failure jsonb,

    attention text,
    attention_detail text,

    CONSTRAINT refunds_one_per_key UNIQUE (payment_id, idempotency_key),
    CONSTRAINT refunds_reversed_by_provider CHECK (status <> 'reversed' OR cause = 'provider')
);

-- What the sweep reads.
CREATE INDEX refunds_pending ON refunds (created_at) WHERE status = 'pending';

CREATE TRIGGER not_removable BEFORE DELETE OR TRUNCATE ON refunds
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_removal();

-- The request is fixed, and a final status stays; a store may reverse a refund of its own.
CREATE FUNCTION guard_refund() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.payment_id, NEW.merchant_id, NEW.idempotency_key, NEW.request_hash,
        NEW.provider, NEW.account, NEW.amount, NEW.currency, NEW.cause, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.payment_id, OLD.merchant_id, OLD.idempotency_key, OLD.request_hash,
        OLD.provider, OLD.account, OLD.amount, OLD.currency, OLD.cause, OLD.created_at) THEN
        PERFORM raise_violation('refunds_request_fixed', 'The request of a refund does not change.');
    END IF;
    IF NEW.status <> OLD.status AND OLD.status <> 'pending'
       AND NOT (OLD.status = 'succeeded' AND NEW.status = 'reversed') THEN
        PERFORM raise_violation('refunds_status_final',
                       'A ' || OLD.status || ' refund does not become ' || NEW.status || '.');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON refunds
    FOR EACH ROW EXECUTE FUNCTION guard_refund();

-- A payment's `refund_reserved` and `refunded` are the sums of its refunds. Checked at commit, when
-- whoever moved the payment's money holds its row: both sums are final then.
CREATE FUNCTION balance_refunds() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE
    balanced_id uuid := CASE TG_TABLE_NAME WHEN 'payments' THEN to_jsonb(NEW) ->> 'id'
                        ELSE to_jsonb(NEW) ->> 'payment_id' END;
BEGIN
    PERFORM FROM payments WHERE id = balanced_id AND (refund_reserved, refunded) <> (
        SELECT coalesce(sum(amount) FILTER (WHERE status = 'pending'), 0)::bigint,
               coalesce(sum(amount) FILTER (WHERE status = 'succeeded'), 0)::bigint
        FROM refunds WHERE payment_id = balanced_id);
    IF FOUND THEN
        PERFORM raise_violation('payments_refunds_balance',
                       'The refunds of a payment do not add up to its refund sums.');
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER balance AFTER INSERT OR UPDATE OF status ON refunds
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION balance_refunds();
CREATE CONSTRAINT TRIGGER balance AFTER UPDATE OF refund_reserved, refunded ON payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION balance_refunds();
CREATE CONSTRAINT TRIGGER balance_new AFTER INSERT ON payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.refund_reserved + NEW.refunded > 0) EXECUTE FUNCTION balance_refunds();
