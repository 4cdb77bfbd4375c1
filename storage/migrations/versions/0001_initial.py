"""The tables, and the constraints that hold even if the code above them is wrong."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MERCHANTS = """
CREATE TABLE merchants (
    id text PRIMARY KEY CHECK (id <> ''),
    name text NOT NULL,
    webhook_url text,
    webhook_secret text,
    late_policy text NOT NULL
        CONSTRAINT merchants_late_policy_known CHECK (late_policy IN ('refund', 'accept'))
)
"""

API_KEYS = """
CREATE TABLE api_keys (
    digest bytea PRIMARY KEY CONSTRAINT api_keys_sha256 CHECK (length(digest) = 32),
    prefix text NOT NULL CONSTRAINT api_keys_one_prefix UNIQUE,
    merchant_id text NOT NULL REFERENCES merchants (id),
    label text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
)
"""

PAYMENTS = """
CREATE TABLE payments (
    id uuid PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants (id),
    order_no text NOT NULL CHECK (order_no <> ''),
    idempotency_key text NOT NULL CHECK (idempotency_key <> ''),
    request_hash text NOT NULL,
    provider text NOT NULL,
    account text NOT NULL,
    channel text NOT NULL CONSTRAINT payments_channel_known
        CHECK (channel IN ('app', 'page', 'wap', 'qr', 'jsapi', 'barcode')),
    amount bigint NOT NULL CONSTRAINT payments_amount_positive CHECK (amount > 0),
    currency text NOT NULL CONSTRAINT payments_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    subject text NOT NULL,
    return_url text,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    status text NOT NULL CONSTRAINT payments_status_known
        CHECK (status IN ('pending', 'succeeded', 'failed', 'closed')),
    checkout jsonb,
    provider_reference text,
    raw_status text,
    captured bigint NOT NULL DEFAULT 0
        CONSTRAINT payments_captured_not_negative CHECK (captured >= 0),
    refund_reserved bigint NOT NULL DEFAULT 0
        CONSTRAINT payments_reserved_not_negative CHECK (refund_reserved >= 0),
    refunded bigint NOT NULL DEFAULT 0
        CONSTRAINT payments_refunded_not_negative CHECK (refunded >= 0),
    paid_at timestamptz,
    late boolean NOT NULL DEFAULT false,
    duplicate boolean NOT NULL DEFAULT false,
    attention text,
    attention_detail text,
    failure jsonb,
    last_sequence bigint NOT NULL DEFAULT 0,
    CONSTRAINT payments_refunds_within_captured CHECK (refund_reserved + refunded <= captured),
    CONSTRAINT payments_captured_where_paid
        CHECK ((captured > 0) = (status = 'succeeded' OR late)),
    CONSTRAINT payments_duplicate_where_succeeded CHECK (NOT duplicate OR status = 'succeeded'),
    CONSTRAINT payments_one_per_key UNIQUE (merchant_id, idempotency_key)
)
"""

REFUNDS = """
CREATE TABLE refunds (
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
        ('requested', 'late_payment', 'duplicate_payment', 'merchant_veto', 'operator')),
    created_at timestamptz NOT NULL,
    status text NOT NULL CONSTRAINT refunds_status_known
        CHECK (status IN ('pending', 'succeeded', 'failed')),
    provider_reference text,
    raw_status text,
    refunded_at timestamptz,
    attention text,
    attention_detail text,
    failure jsonb,
    CONSTRAINT refunds_one_per_key UNIQUE (payment_id, idempotency_key)
)
"""

EVENTS = """
CREATE TABLE events (
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments (id),
    refund_id uuid REFERENCES refunds (id),
    merchant_id text NOT NULL,
    sequence bigint NOT NULL CONSTRAINT events_sequence_positive CHECK (sequence > 0),
    type text NOT NULL CONSTRAINT events_type_known CHECK (type IN
        ('payment.succeeded', 'payment.failed', 'payment.closed', 'payment.attention',
         'refund.succeeded', 'refund.failed')),
    attention text,
    data jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    delivery text NOT NULL DEFAULT 'waiting' CONSTRAINT events_delivery_known
        CHECK (delivery IN ('waiting', 'delivered', 'given_up', 'no_endpoint')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    delivered_at timestamptz,
    last_attempt_at timestamptz,
    last_http_status integer,
    last_error text,
    CONSTRAINT events_in_order UNIQUE (payment_id, sequence),
    CONSTRAINT events_one_per_change
        UNIQUE NULLS NOT DISTINCT (payment_id, refund_id, type, attention)
)
"""

NOTIFICATIONS = """
CREATE TABLE notifications (
    id uuid PRIMARY KEY,
    provider text NOT NULL,
    account text NOT NULL,
    notification_id text NOT NULL,
    kind text NOT NULL CONSTRAINT notifications_kind_known CHECK (kind IN ('payment', 'refund')),
    reference text NOT NULL,
    payment_id uuid,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL,
    outcome text NOT NULL DEFAULT 'received' CONSTRAINT notifications_outcome_known
        CHECK (outcome IN ('received', 'signalled', 'duplicate', 'late', 'mismatch',
                           'unknown_reference', 'ignored')),
    detail text NOT NULL DEFAULT ''
)
"""

INDEXES = (
    """CREATE UNIQUE INDEX payments_one_success_per_order ON payments (merchant_id, order_no)
       WHERE status = 'succeeded' AND NOT duplicate""",
    """CREATE UNIQUE INDEX payments_one_per_provider_reference
       ON payments (provider, account, provider_reference)
       WHERE provider_reference IS NOT NULL AND captured > 0""",
    "CREATE INDEX payments_newest ON payments (merchant_id, created_at DESC, id DESC)",
    "CREATE INDEX payments_by_order ON payments (merchant_id, order_no)",
    """CREATE INDEX payments_wanting_attention ON payments (merchant_id, created_at DESC, id DESC)
       WHERE attention IS NOT NULL""",
    "CREATE INDEX events_newest ON events (merchant_id, created_at DESC, id DESC)",
    "CREATE INDEX events_by_refund ON events (refund_id)",
    """CREATE INDEX notifications_by_message
       ON notifications (provider, account, notification_id)""",
    "CREATE INDEX notifications_by_payment ON notifications (payment_id, received_at)",
    "CREATE INDEX api_keys_by_merchant ON api_keys (merchant_id)",
)

# A refusal carries a constraint's name, so that code and tests can tell one from another.
REFUSE = """
CREATE FUNCTION refuse(rule text, explanation text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', explanation
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = rule;
END $$
"""

REFUSE_REMOVAL = """
CREATE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse(TG_TABLE_NAME || '_kept_for_ever', 'Rows of ' || TG_TABLE_NAME || ' stay.');
    RETURN NULL;
END $$
"""

GUARD_PAYMENT = """
CREATE FUNCTION guard_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.merchant_id, NEW.order_no, NEW.idempotency_key, NEW.request_hash,
        NEW.provider, NEW.account, NEW.channel, NEW.amount, NEW.currency, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.merchant_id, OLD.order_no, OLD.idempotency_key, OLD.request_hash,
        OLD.provider, OLD.account, OLD.channel, OLD.amount, OLD.currency, OLD.created_at) THEN
        PERFORM refuse('payments_request_fixed', 'What was asked for does not change.');
    END IF;
    IF NEW.status <> OLD.status AND OLD.status <> 'pending'
       AND NOT (OLD.status IN ('failed', 'closed') AND NEW.status = 'succeeded' AND NEW.late) THEN
        PERFORM refuse('payments_status_final',
                       'A ' || OLD.status || ' payment does not become ' || NEW.status || '.');
    END IF;
    IF OLD.captured > 0 AND NEW.captured <> OLD.captured OR NEW.refunded < OLD.refunded
       OR OLD.late AND NOT NEW.late OR NEW.last_sequence < OLD.last_sequence
       OR NEW.duplicate <> OLD.duplicate AND NEW.status = OLD.status THEN
        PERFORM refuse('payments_money_forward', 'Money that moved stays moved.');
    END IF;
    RETURN NEW;
END $$
"""

GUARD_REFUND = """
CREATE FUNCTION guard_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.payment_id, NEW.merchant_id, NEW.idempotency_key, NEW.request_hash,
        NEW.provider, NEW.account, NEW.amount, NEW.currency, NEW.cause, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.payment_id, OLD.merchant_id, OLD.idempotency_key, OLD.request_hash,
        OLD.provider, OLD.account, OLD.amount, OLD.currency, OLD.cause, OLD.created_at) THEN
        PERFORM refuse('refunds_request_fixed', 'What was asked for does not change.');
    END IF;
    IF NEW.status <> OLD.status AND OLD.status <> 'pending' THEN
        PERFORM refuse('refunds_status_final',
                       'A ' || OLD.status || ' refund does not become ' || NEW.status || '.');
    END IF;
    RETURN NEW;
END $$
"""

GUARD_EVENT = """
CREATE FUNCTION guard_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.payment_id, NEW.refund_id, NEW.merchant_id, NEW.sequence, NEW.type,
        NEW.attention, NEW.data, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.payment_id, OLD.refund_id, OLD.merchant_id, OLD.sequence, OLD.type,
        OLD.attention, OLD.data, OLD.created_at) THEN
        PERFORM refuse('events_content_fixed', 'What a merchant is told does not change.');
    END IF;
    RETURN NEW;
END $$
"""

# Runs at commit, when the payment's row is locked by whoever moved its money: both sums are final.
BALANCE = """
CREATE FUNCTION balance_refunds() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owner_id uuid := CASE TG_TABLE_NAME WHEN 'payments' THEN to_jsonb(NEW) ->> 'id'
                    ELSE to_jsonb(NEW) ->> 'payment_id' END;
BEGIN
    PERFORM FROM payments WHERE id = owner_id AND (refund_reserved, refunded) <> (
        SELECT coalesce(sum(amount) FILTER (WHERE status = 'pending'), 0)::bigint,
               coalesce(sum(amount) FILTER (WHERE status = 'succeeded'), 0)::bigint
        FROM refunds WHERE payment_id = owner_id);
    IF FOUND THEN
        PERFORM refuse('payments_refunds_balance',
                       'The refunds of a payment do not add up to what it holds for them.');
    END IF;
    RETURN NULL;
END $$
"""

TRIGGERS = (
    "CREATE TRIGGER guard BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION guard_payment()",
    "CREATE TRIGGER guard BEFORE UPDATE ON refunds FOR EACH ROW EXECUTE FUNCTION guard_refund()",
    "CREATE TRIGGER guard BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION guard_event()",
    """CREATE CONSTRAINT TRIGGER balance AFTER UPDATE OF refund_reserved, refunded ON payments
       DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION balance_refunds()""",
    """CREATE CONSTRAINT TRIGGER balance_new AFTER INSERT ON payments
       DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
       WHEN (NEW.refund_reserved + NEW.refunded > 0) EXECUTE FUNCTION balance_refunds()""",
    """CREATE CONSTRAINT TRIGGER balance AFTER INSERT OR UPDATE OF status ON refunds
       DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION balance_refunds()""",
)
KEPT = ("payments", "refunds", "events")


def upgrade() -> None:
    tables = (MERCHANTS, API_KEYS, PAYMENTS, REFUNDS, EVENTS, NOTIFICATIONS)
    functions = (REFUSE, REFUSE_REMOVAL, GUARD_PAYMENT, GUARD_REFUND, GUARD_EVENT, BALANCE)
    for statement in (*tables, *INDEXES, *functions, *TRIGGERS):
        op.execute(statement)
    for table in KEPT:
        op.execute(
            f"CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal()"
        )
