"""Free text about a payment goes by two functions only, and does not come back.

`forget_payment` erases what is personal in a payment and marks it; triggers keep what arrives
later about it free of such text. `forget_notifications` erases old evidence. Both run as the owner:
the runtime role loses UPDATE on these columns (`storage/privileges.py`). What a forged UPDATE could
still rewrite is fixed by guards: evidence, delivered events, paid payments, ended refunds,
revoked keys. Webhook secrets in clear are refused.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MARK = "ALTER TABLE payments ADD forgotten_at timestamptz"

# Code and provider code are of the provider's list; its messages are free text.
ERASED_FAILURE = """
CREATE FUNCTION erased_failure(failure jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = public, pg_temp AS $$
    SELECT CASE WHEN jsonb_typeof(failure) = 'object'
                THEN failure || '{"message": "", "provider_message": null}' ELSE failure END
$$
"""
# A refund's reason is free text of the merchant; an entitlement's is the store's code.
ERASED_EVENT = """
CREATE FUNCTION erased_event(data jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = public, pg_temp AS $$
    SELECT data
        || CASE WHEN data ? 'metadata' THEN '{"metadata": {}}' ELSE '{}' END::jsonb
        || CASE WHEN data ? 'cause' THEN '{"reason": null}' ELSE '{}' END::jsonb
        || CASE WHEN data ? 'failure'
                THEN jsonb_build_object('failure', erased_failure(data -> 'failure'))
                ELSE '{}' END
$$
"""
# An event that still waits after four days belongs to a workflow that was ended by force
# (storage/events.py).
FORGET_PAYMENT = """
CREATE FUNCTION forget_payment(forgotten uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM payments WHERE id = forgotten FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF EXISTS (SELECT FROM payments WHERE id = forgotten AND status = 'pending')
       OR EXISTS (SELECT FROM refunds WHERE payment_id = forgotten AND status = 'pending')
       OR EXISTS (SELECT FROM events WHERE payment_id = forgotten AND delivery = 'waiting'
                  AND created_at > now() - interval '4 days') THEN
        PERFORM refuse('payments_forgotten_when_over',
                       'A payment is forgotten once it is over and its merchant knows.');
    END IF;
    UPDATE payments SET subject = '', metadata = '{}', return_url = NULL, checkout = NULL,
                        failure = erased_failure(failure),
                        forgotten_at = coalesce(forgotten_at, now())
        WHERE id = forgotten;
    UPDATE refunds SET reason = NULL, failure = erased_failure(failure)
        WHERE payment_id = forgotten;
    UPDATE events SET data = erased_event(data), veto = CASE WHEN veto IS NOT NULL THEN '' END,
                      last_error = NULL
        WHERE payment_id = forgotten;
    UPDATE notifications SET body = '', headers = '{}' WHERE payment_id = forgotten;
    RETURN true;
END $$
"""
FORGET_NOTIFICATIONS = """
CREATE FUNCTION forget_notifications(older_than timestamptz, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    forgotten bigint;
BEGIN
    IF older_than > now() - interval '30 days' THEN
        PERFORM refuse('notifications_kept_for_30_days',
                       'Notifications of the last 30 days are evidence.');
    END IF;
    UPDATE notifications SET body = '', headers = '{}' WHERE id IN (
        SELECT id FROM notifications WHERE received_at < older_than AND body <> '' LIMIT most);
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$
"""

GUARD_EVENT = """
CREATE OR REPLACE FUNCTION guard_event() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.payment_id, NEW.refund_id, NEW.merchant_id, NEW.sequence, NEW.type,
        NEW.attention, NEW.subject, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.payment_id, OLD.refund_id, OLD.merchant_id, OLD.sequence, OLD.type,
        OLD.attention, OLD.subject, OLD.created_at)
       OR NEW.data IS DISTINCT FROM OLD.data
          AND NEW.data IS DISTINCT FROM erased_event(OLD.data) THEN
        PERFORM refuse('events_content_fixed', 'What a merchant is told does not change.');
    END IF;
    IF NEW.attempts < OLD.attempts
       OR OLD.delivery = 'delivered'
          AND (NEW.delivery <> 'delivered' OR NEW.delivered_at IS DISTINCT FROM OLD.delivered_at
               OR NEW.veto IS DISTINCT FROM OLD.veto
                  AND NOT (OLD.veto IS NOT NULL AND coalesce(NEW.veto = '', false))) THEN
        PERFORM refuse('events_delivery_final', 'A delivered event stays delivered.');
    END IF;
    RETURN NEW;
END $$
"""
GUARD_NOTIFICATION = """
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
        PERFORM refuse('notifications_evidence_fixed',
                       'What a provider sent is kept as it came, or erased.');
    END IF;
    RETURN NEW;
END $$
"""
# Where the trigger's own condition says all: a rule and its explanation are its arguments.
REFUSE_CHANGE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM refuse(TG_ARGV[0], TG_ARGV[1]);
    RETURN NULL;
END $$
"""
# Free text of a payment is erased or stays; the checkout may also be replaced until the end.
GUARD_TEXT = """
CREATE FUNCTION guard_payment_text() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.subject <> OLD.subject AND NEW.subject <> ''
       OR NEW.metadata <> OLD.metadata AND NEW.metadata <> '{}'
       OR NEW.return_url IS DISTINCT FROM OLD.return_url AND NEW.return_url IS NOT NULL
       OR NEW.checkout IS DISTINCT FROM OLD.checkout AND NEW.checkout IS NOT NULL
          AND OLD.status <> 'pending'
       OR NEW.failure IS DISTINCT FROM OLD.failure AND NEW.status = OLD.status
          AND NEW.failure IS DISTINCT FROM erased_failure(OLD.failure)
       OR OLD.forgotten_at IS NOT NULL AND NEW.forgotten_at IS DISTINCT FROM OLD.forgotten_at THEN
        PERFORM refuse('payments_text_fixed', 'What was asked for stays, or is erased.');
    END IF;
    RETURN NEW;
END $$
"""
GUARD_ENDED_REFUND = """
CREATE FUNCTION guard_ended_refund() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.provider_reference, NEW.refunded_at) IS DISTINCT FROM
       (OLD.provider_reference, OLD.refunded_at)
       OR NEW.failure IS DISTINCT FROM OLD.failure
          AND NEW.failure IS DISTINCT FROM erased_failure(OLD.failure) THEN
        PERFORM refuse('refunds_end_fixed', 'A refund that has ended keeps what it ended with.');
    END IF;
    RETURN NEW;
END $$
"""
# `forget_payment` holds the payment's row: who is about to add to it waits for that, or comes
# first and is seen by it. Everybody but notifications holds the row already.
IS_FORGOTTEN = """
CREATE FUNCTION is_forgotten(payment uuid) RETURNS boolean LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE
    moment timestamptz;
BEGIN
    SELECT forgotten_at INTO moment FROM payments WHERE id = payment FOR KEY SHARE;
    RETURN moment IS NOT NULL;
END $$
"""
STAY_ERASED = (
    """
    CREATE FUNCTION erase_late_notification() RETURNS trigger LANGUAGE plpgsql
    SET search_path = public, pg_temp AS $$
    BEGIN
        IF is_forgotten(NEW.payment_id) THEN
            NEW.body := '';
            NEW.headers := '{}';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION erase_late_event() RETURNS trigger LANGUAGE plpgsql
    SET search_path = public, pg_temp AS $$
    BEGIN
        IF is_forgotten(NEW.payment_id) THEN
            NEW.data := erased_event(NEW.data);
            NEW.veto := CASE WHEN NEW.veto IS NOT NULL THEN '' END;
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION erase_late_refund() RETURNS trigger LANGUAGE plpgsql
    SET search_path = public, pg_temp AS $$
    BEGIN
        IF is_forgotten(NEW.payment_id) THEN
            NEW.reason := NULL;
            NEW.failure := erased_failure(NEW.failure);
        END IF;
        RETURN NEW;
    END $$
    """,
)
DROPPED = (
    "DROP TRIGGER guard_metadata ON payments",
    "DROP FUNCTION guard_metadata()",
)
# PostgreSQL fires triggers of one kind by name: `erase_late` is before `guard`.
TRIGGERS = (
    """
    CREATE TRIGGER guard BEFORE UPDATE ON notifications
        FOR EACH ROW EXECUTE FUNCTION guard_notification()
    """,
    """
    CREATE TRIGGER guard BEFORE UPDATE ON api_keys FOR EACH ROW
        WHEN (OLD.revoked_at IS DISTINCT FROM NEW.revoked_at AND OLD.revoked_at IS NOT NULL)
        EXECUTE FUNCTION refuse_change('api_keys_revoked_for_good', 'A revoked key stays revoked.')
    """,
    """
    CREATE TRIGGER guard_text BEFORE UPDATE ON payments FOR EACH ROW
        WHEN ((OLD.subject, OLD.metadata, OLD.return_url, OLD.checkout, OLD.failure,
               OLD.forgotten_at)
              IS DISTINCT FROM
              (NEW.subject, NEW.metadata, NEW.return_url, NEW.checkout, NEW.failure,
               NEW.forgotten_at))
        EXECUTE FUNCTION guard_payment_text()
    """,
    """
    CREATE TRIGGER guard_reference BEFORE UPDATE ON payments FOR EACH ROW
        WHEN ((OLD.status = 'succeeded' OR OLD.late)
              AND (OLD.provider_reference, OLD.raw_status, OLD.paid_at) IS DISTINCT FROM
                  (NEW.provider_reference, NEW.raw_status, NEW.paid_at))
        EXECUTE FUNCTION refuse_change(
            'payments_reference_fixed', 'A paid payment keeps its number and its time.')
    """,
    """
    CREATE TRIGGER guard_end BEFORE UPDATE ON refunds FOR EACH ROW WHEN (OLD.status <> 'pending')
        EXECUTE FUNCTION guard_ended_refund()
    """,
    """
    CREATE TRIGGER guard_reason BEFORE UPDATE ON refunds FOR EACH ROW
        WHEN (NEW.reason IS DISTINCT FROM OLD.reason AND NEW.reason IS NOT NULL)
        EXECUTE FUNCTION refuse_change('refunds_reason_fixed', 'A reason stays, or is erased.')
    """,
    """
    CREATE TRIGGER erase_late BEFORE INSERT ON notifications FOR EACH ROW
        WHEN (NEW.payment_id IS NOT NULL) EXECUTE FUNCTION erase_late_notification()
    """,
    # A payment that can be forgotten is over, and has an event of that.
    """
    CREATE TRIGGER erase_late BEFORE INSERT ON events FOR EACH ROW
        WHEN (NEW.sequence > 1) EXECUTE FUNCTION erase_late_event()
    """,
    """
    CREATE TRIGGER erase_late_veto BEFORE UPDATE ON events FOR EACH ROW
        WHEN (NEW.veto IS DISTINCT FROM OLD.veto AND NEW.veto <> '')
        EXECUTE FUNCTION erase_late_event()
    """,
    """
    CREATE TRIGGER erase_late BEFORE INSERT ON refunds FOR EACH ROW
        WHEN (NEW.reason IS NOT NULL) EXECUTE FUNCTION erase_late_refund()
    """,
    """
    CREATE TRIGGER erase_late_failure BEFORE UPDATE ON refunds FOR EACH ROW
        WHEN (NEW.failure IS DISTINCT FROM OLD.failure AND NEW.failure IS NOT NULL)
        EXECUTE FUNCTION erase_late_refund()
    """,
)
# What an older release stored in clear stays, not validated, until a process with the keys starts.
SECRETS = """
DO $$
BEGIN
    ALTER TABLE merchants ADD CONSTRAINT merchants_webhook_secret_encrypted
        CHECK (webhook_secret LIKE 'encrypted:%') NOT VALID;
    IF NOT EXISTS (SELECT FROM merchants WHERE webhook_secret NOT LIKE 'encrypted:%') THEN
        ALTER TABLE merchants VALIDATE CONSTRAINT merchants_webhook_secret_encrypted;
    END IF;
END $$
"""


def upgrade() -> None:
    functions = (
        *(ERASED_FAILURE, ERASED_EVENT, FORGET_PAYMENT, FORGET_NOTIFICATIONS, IS_FORGOTTEN),
        *(REFUSE_CHANGE, GUARD_EVENT, GUARD_NOTIFICATION, GUARD_TEXT, GUARD_ENDED_REFUND),
        *STAY_ERASED,
    )
    for statement in (MARK, *DROPPED, *functions, *TRIGGERS, SECRETS):
        op.execute(statement)
