CREATE TABLE payments (
    -- The merchant's request.
    id uuid PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants (id),
    order_no text NOT NULL CHECK (order_no <> ''),
    idempotency_key text NOT NULL CHECK (idempotency_key <> ''),
    request_hash text NOT NULL,
    provider text NOT NULL,
    account text NOT NULL,
    channel text NOT NULL CONSTRAINT payments_channel_known
        CHECK (channel IN ('app', 'page', 'wap', 'qr', 'jsapi', 'barcode', 'iap')),
    amount bigint NOT NULL CONSTRAINT payments_amount_positive CHECK (amount > 0),
    currency text NOT NULL CONSTRAINT payments_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    subject text NOT NULL,
    return_url text,
    metadata jsonb NOT NULL,
    product_id text,
    quantity integer NOT NULL DEFAULT 1
        CONSTRAINT payments_quantity_positive CHECK (quantity > 0),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,

    -- The provider's report.
    status text NOT NULL CONSTRAINT payments_status_known
        CHECK (status IN ('pending', 'succeeded', 'failed', 'closed')),
    checkout jsonb,
    provider_reference text,
    raw_status text,
    captured bigint NOT NULL DEFAULT 0
        CONSTRAINT payments_captured_not_negative CHECK (captured >= 0),
    paid_at timestamptz,
    late boolean NOT NULL DEFAULT false,
    duplicate boolean NOT NULL DEFAULT false,
    failure jsonb,

    -- An app store's price. A test purchase is paid, with nothing captured.
    test boolean NOT NULL DEFAULT false,
    store_price bigint CONSTRAINT payments_store_price_not_negative CHECK (store_price >= 0),
    store_currency text,
    offer text CONSTRAINT payments_offer_known
        CHECK (offer IN ('introductory', 'promotional', 'code', 'win_back', 'other')),

    -- Sums of the payment's refunds that are pending and that succeeded.
    refund_reserved bigint NOT NULL DEFAULT 0
        CONSTRAINT payments_reserved_not_negative CHECK (refund_reserved >= 0),
    refunded bigint NOT NULL DEFAULT 0
        CONSTRAINT payments_refunded_not_negative CHECK (refunded >= 0),

    attention text,
    attention_detail text,
    -- Numbers the payment's events, under this row's lock.
    last_sequence bigint NOT NULL DEFAULT 0,
    -- When `forget_payment` erased the free text of the payment.
    forgotten_at timestamptz,

    CONSTRAINT payments_one_per_key UNIQUE (merchant_id, idempotency_key),
    CONSTRAINT payments_refunds_within_captured CHECK (refund_reserved + refunded <= captured),
    CONSTRAINT payments_duplicate_where_succeeded CHECK (NOT duplicate OR status = 'succeeded'),
    -- A store may sell for nothing: a test, an offer, a price of 0.
    CONSTRAINT payments_captured_where_paid
        CHECK (CASE WHEN status = 'succeeded' OR late
                    THEN captured > 0 OR test OR offer IS NOT NULL
                         OR coalesce(store_price = 0, false)
                    ELSE captured = 0 END),
    CONSTRAINT payments_store_price_where_product
        CHECK (product_id IS NOT NULL
               OR NOT test AND num_nonnulls(store_price, store_currency, offer) = 0)
);

-- An order is paid once; a second success is a duplicate, and refunded.
CREATE UNIQUE INDEX payments_one_success_per_order ON payments (merchant_id, order_no)
    WHERE status = 'succeeded' AND NOT duplicate;
-- One transaction of a provider pays one payment. A purchase for nothing has its own, too.
CREATE UNIQUE INDEX payments_one_per_provider_reference
    ON payments (provider, account, provider_reference)
    WHERE provider_reference IS NOT NULL AND (status = 'succeeded' OR late);
-- The lists of the API, in their order: all, of one order, in need of an operator.
CREATE INDEX payments_newest ON payments (merchant_id, created_at DESC, id DESC);
CREATE INDEX payments_newest_of_order
    ON payments (merchant_id, order_no, created_at DESC, id DESC);
CREATE INDEX payments_in_attention ON payments (merchant_id, created_at DESC, id DESC)
    WHERE attention IS NOT NULL;
-- What the sweep reads: few rows of a large table.
CREATE INDEX payments_pending ON payments (created_at) WHERE status = 'pending';
CREATE INDEX payments_automatic_refund ON payments (created_at) WHERE duplicate OR late;

CREATE TRIGGER not_removable BEFORE DELETE OR TRUNCATE ON payments
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_removal();

-- The request is fixed; a final status stays, but a late payment may succeed; sums of moved money
-- only grow.
CREATE FUNCTION guard_payment() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.merchant_id, NEW.order_no, NEW.idempotency_key, NEW.request_hash,
        NEW.provider, NEW.account, NEW.channel, NEW.amount, NEW.currency, NEW.created_at,
        NEW.product_id, NEW.quantity)
        IS DISTINCT FROM
       (OLD.id, OLD.merchant_id, OLD.order_no, OLD.idempotency_key, OLD.request_hash,
        OLD.provider, OLD.account, OLD.channel, OLD.amount, OLD.currency, OLD.created_at,
        OLD.product_id, OLD.quantity) THEN
        PERFORM raise_violation('payments_request_fixed', 'The request of a payment does not change.');
    END IF;
    IF NEW.status <> OLD.status AND OLD.status <> 'pending'
       AND NOT (OLD.status IN ('failed', 'closed') AND NEW.status = 'succeeded' AND NEW.late) THEN
        PERFORM raise_violation('payments_status_final',
                       'A ' || OLD.status || ' payment does not become ' || NEW.status || '.');
    END IF;
    -- An app store may reverse a refund of its own; nothing else lowers the sum.
    IF OLD.captured > 0 AND NEW.captured <> OLD.captured
       OR NEW.refunded < OLD.refunded AND OLD.product_id IS NULL
       OR OLD.late AND NOT NEW.late OR NEW.last_sequence < OLD.last_sequence
       OR NEW.duplicate <> OLD.duplicate AND NEW.status = OLD.status THEN
        PERFORM raise_violation('payments_money_forward', 'Money that moved does not move back.');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON payments
    FOR EACH ROW EXECUTE FUNCTION guard_payment();

-- Once paid, the charge is fixed, and the provider's reference, status and time.
CREATE TRIGGER guard_charge BEFORE UPDATE ON payments FOR EACH ROW
    WHEN ((OLD.status = 'succeeded' OR OLD.late)
          AND (OLD.captured, OLD.test, OLD.store_price, OLD.store_currency, OLD.offer)
              IS DISTINCT FROM
              (NEW.captured, NEW.test, NEW.store_price, NEW.store_currency, NEW.offer))
    EXECUTE FUNCTION forbid_change(
        'payments_money_forward', 'The charge of a paid payment does not change.');
CREATE TRIGGER guard_reference BEFORE UPDATE ON payments FOR EACH ROW
    WHEN ((OLD.status = 'succeeded' OR OLD.late)
          AND (OLD.provider_reference, OLD.raw_status, OLD.paid_at) IS DISTINCT FROM
              (NEW.provider_reference, NEW.raw_status, NEW.paid_at))
    EXECUTE FUNCTION forbid_change(
        'payments_reference_fixed', 'The reference and time of a paid payment do not change.');
