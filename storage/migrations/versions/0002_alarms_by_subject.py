"""A payment may be flagged for one reason more than once: each time for another subject."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The constraint keeps its name, so that processes of the last version go on telling by it.
EVENTS = """
ALTER TABLE events
    ADD COLUMN subject text,
    DROP CONSTRAINT events_one_per_change,
    ADD CONSTRAINT events_one_per_change
        UNIQUE NULLS NOT DISTINCT (payment_id, refund_id, type, attention, subject)
"""
GUARD_EVENT = """
CREATE OR REPLACE FUNCTION guard_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.payment_id, NEW.refund_id, NEW.merchant_id, NEW.sequence, NEW.type,
        NEW.attention, NEW.subject, NEW.data, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.payment_id, OLD.refund_id, OLD.merchant_id, OLD.sequence, OLD.type,
        OLD.attention, OLD.subject, OLD.data, OLD.created_at) THEN
        PERFORM refuse('events_content_fixed', 'What a merchant is told does not change.');
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute(EVENTS)
    op.execute(GUARD_EVENT)
