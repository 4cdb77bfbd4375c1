"""A merchant's metadata can be erased, and triggers see our own tables, whoever runs them.

Metadata may name a payer. It goes from the payment and its events; everything else of them stays.
A trigger's function that searches the caller's path could be shown another table of the same name.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

GUARD_EVENT = """
CREATE OR REPLACE FUNCTION guard_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.payment_id, NEW.refund_id, NEW.merchant_id, NEW.sequence, NEW.type,
        NEW.attention, NEW.subject, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.payment_id, OLD.refund_id, OLD.merchant_id, OLD.sequence, OLD.type,
        OLD.attention, OLD.subject, OLD.created_at)
       OR NEW.data IS DISTINCT FROM OLD.data
          AND NEW.data IS DISTINCT FROM jsonb_set(OLD.data, '{metadata}', '{}', false) THEN
        PERFORM refuse('events_content_fixed', 'What a merchant is told does not change.');
    END IF;
    RETURN NEW;
END $$
"""
GUARD_METADATA = """
CREATE FUNCTION guard_metadata() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.metadata IS DISTINCT FROM OLD.metadata AND NEW.metadata <> '{}' THEN
        PERFORM refuse('payments_metadata_fixed', 'Metadata stays, or is erased.');
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE TRIGGER guard_metadata BEFORE UPDATE OF metadata ON payments
    FOR EACH ROW EXECUTE FUNCTION guard_metadata()
"""
FUNCTIONS = (
    "guard_payment()",
    "guard_refund()",
    "guard_event()",
    "guard_grant()",
    "guard_metadata()",
    "balance_refunds()",
    "refuse_removal()",
    "refuse(text, text)",
)


def upgrade() -> None:
    for statement in (GUARD_EVENT, GUARD_METADATA, TRIGGER):
        op.execute(statement)
    for function in FUNCTIONS:
        op.execute(f"ALTER FUNCTION {function} SET search_path = public, pg_temp")
