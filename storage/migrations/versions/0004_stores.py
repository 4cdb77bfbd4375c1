"""Payments that a store sells by itself: what was granted, what it entitles to, and who refunds."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PAYMENTS = """
ALTER TABLE payments
    ADD COLUMN product_id text,
    ADD COLUMN quantity integer NOT NULL DEFAULT 1
        CONSTRAINT payments_quantity_positive CHECK (quantity > 0),
    DROP CONSTRAINT payments_channel_known,
    ADD CONSTRAINT payments_channel_known
        CHECK (channel IN ('app', 'page', 'wap', 'qr', 'jsapi', 'barcode', 'iap'))
"""
REFUNDS = """
ALTER TABLE refunds
    DROP CONSTRAINT refunds_cause_known,
    ADD CONSTRAINT refunds_cause_known CHECK (cause IN
        ('requested', 'late_payment', 'duplicate_payment', 'merchant_veto', 'operator',
         'provider')),
    DROP CONSTRAINT refunds_status_known,
    ADD CONSTRAINT refunds_status_known
        CHECK (status IN ('pending', 'succeeded', 'failed', 'reversed')),
    ADD CONSTRAINT refunds_reversed_by_who_made_it
        CHECK (status <> 'reversed' OR cause = 'provider')
"""
EVENTS = """
ALTER TABLE events
    DROP CONSTRAINT events_type_known,
    ADD CONSTRAINT events_type_known CHECK (type IN
        ('payment.succeeded', 'payment.failed', 'payment.closed', 'payment.attention',
         'refund.succeeded', 'refund.failed', 'refund.reversed', 'entitlement.changed',
         'entitlement.consumption_requested'))
"""
NOTIFICATIONS = """
ALTER TABLE notifications
    DROP CONSTRAINT notifications_kind_known,
    ADD CONSTRAINT notifications_kind_known CHECK (kind IN ('payment', 'refund', 'store'))
"""
GRANTS = """
CREATE TABLE grants (
    provider text NOT NULL,
    account text NOT NULL,
    transaction_id text NOT NULL CHECK (transaction_id <> ''),
    original_transaction_id text NOT NULL CHECK (original_transaction_id <> ''),
    payment_id uuid NOT NULL REFERENCES payments (id),
    product_id text NOT NULL,
    product_type text NOT NULL CONSTRAINT grants_product_type_known CHECK (product_type IN
        ('consumable', 'non_consumable', 'subscription', 'non_renewing')),
    quantity integer NOT NULL CONSTRAINT grants_quantity_positive CHECK (quantity > 0),
    purchased_at timestamptz NOT NULL,
    signed_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    revoked_share integer CONSTRAINT grants_share_of_a_whole
        CHECK (revoked_share BETWEEN 0 AND 100000),
    test boolean NOT NULL,
    price bigint,
    currency text,
    storefront text,
    granted_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT grants_one_per_transaction PRIMARY KEY (provider, account, transaction_id)
)
"""
ENTITLEMENTS = """
CREATE TABLE entitlements (
    provider text NOT NULL,
    account text NOT NULL,
    original_transaction_id text NOT NULL CHECK (original_transaction_id <> ''),
    payment_id uuid NOT NULL REFERENCES payments (id),
    merchant_id text NOT NULL REFERENCES merchants (id),
    product_id text NOT NULL,
    product_type text NOT NULL CONSTRAINT entitlements_product_type_known CHECK (product_type IN
        ('consumable', 'non_consumable', 'subscription', 'non_renewing')),
    transaction_id text NOT NULL,
    purchased_at timestamptz NOT NULL,
    status text NOT NULL CONSTRAINT entitlements_status_known CHECK (status IN
        ('active', 'grace', 'billing_retry', 'expired', 'refunded', 'revoked')),
    expires_at timestamptz,
    grace_until timestamptz,
    auto_renews boolean,
    signed_at timestamptz NOT NULL,
    test boolean NOT NULL,
    CONSTRAINT entitlements_one_per_chain PRIMARY KEY (provider, account, original_transaction_id),
    CONSTRAINT entitlements_newest_is_granted FOREIGN KEY (provider, account, transaction_id)
        REFERENCES grants (provider, account, transaction_id)
)
"""
INDEXES = (
    "CREATE INDEX grants_by_payment ON grants (payment_id)",
    "CREATE INDEX entitlements_by_payment ON entitlements (payment_id)",
    "CREATE INDEX events_by_subject ON events (payment_id, subject) WHERE subject IS NOT NULL",
)
GUARD_PAYMENT = """
CREATE OR REPLACE FUNCTION guard_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.merchant_id, NEW.order_no, NEW.idempotency_key, NEW.request_hash,
        NEW.provider, NEW.account, NEW.channel, NEW.amount, NEW.currency, NEW.created_at,
        NEW.product_id, NEW.quantity)
        IS DISTINCT FROM
       (OLD.id, OLD.merchant_id, OLD.order_no, OLD.idempotency_key, OLD.request_hash,
        OLD.provider, OLD.account, OLD.channel, OLD.amount, OLD.currency, OLD.created_at,
        OLD.product_id, OLD.quantity) THEN
        PERFORM refuse('payments_request_fixed', 'What was asked for does not change.');
    END IF;
    IF NEW.status <> OLD.status AND OLD.status <> 'pending'
       AND NOT (OLD.status IN ('failed', 'closed') AND NEW.status = 'succeeded' AND NEW.late) THEN
        PERFORM refuse('payments_status_final',
                       'A ' || OLD.status || ' payment does not become ' || NEW.status || '.');
    END IF;
    -- A store may take back a refund that it made by itself; nobody else can.
    IF OLD.captured > 0 AND NEW.captured <> OLD.captured
       OR NEW.refunded < OLD.refunded AND OLD.product_id IS NULL
       OR OLD.late AND NOT NEW.late OR NEW.last_sequence < OLD.last_sequence
       OR NEW.duplicate <> OLD.duplicate AND NEW.status = OLD.status THEN
        PERFORM refuse('payments_money_forward', 'Money that moved stays moved.');
    END IF;
    RETURN NEW;
END $$
"""
GUARD_REFUND = """
CREATE OR REPLACE FUNCTION guard_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.payment_id, NEW.merchant_id, NEW.idempotency_key, NEW.request_hash,
        NEW.provider, NEW.account, NEW.amount, NEW.currency, NEW.cause, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.payment_id, OLD.merchant_id, OLD.idempotency_key, OLD.request_hash,
        OLD.provider, OLD.account, OLD.amount, OLD.currency, OLD.cause, OLD.created_at) THEN
        PERFORM refuse('refunds_request_fixed', 'What was asked for does not change.');
    END IF;
    IF NEW.status <> OLD.status AND OLD.status <> 'pending'
       AND NOT (OLD.status = 'succeeded' AND NEW.status = 'reversed') THEN
        PERFORM refuse('refunds_status_final',
                       'A ' || OLD.status || ' refund does not become ' || NEW.status || '.');
    END IF;
    RETURN NEW;
END $$
"""
GUARD_GRANT = """
CREATE FUNCTION guard_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.provider, NEW.account, NEW.transaction_id, NEW.original_transaction_id,
        NEW.payment_id, NEW.product_id, NEW.quantity, NEW.granted_at)
        IS DISTINCT FROM
       (OLD.provider, OLD.account, OLD.transaction_id, OLD.original_transaction_id,
        OLD.payment_id, OLD.product_id, OLD.quantity, OLD.granted_at) THEN
        PERFORM refuse('grants_fixed', 'What was granted, and for which payment, does not change.');
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = "CREATE TRIGGER guard BEFORE UPDATE ON grants FOR EACH ROW EXECUTE FUNCTION guard_grant()"
KEPT = ("grants", "entitlements")


def upgrade() -> None:
    tables = (PAYMENTS, REFUNDS, EVENTS, NOTIFICATIONS, GRANTS, ENTITLEMENTS)
    functions = (GUARD_PAYMENT, GUARD_REFUND, GUARD_GRANT)
    for statement in (*tables, *INDEXES, *functions, TRIGGER):
        op.execute(statement)
    for table in KEPT:
        op.execute(
            f"CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal()"
        )
