"""Ids by a secret key; notifications kept once, strangers' apart; alarms that concern no payment.

`deployment` remembers which identity key named the rows, `alarms` counts what operators must know
of an account or of a repaired workflow: one row a kind, subject and day.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

DEPLOYMENT = """
CREATE TABLE deployment (
    singleton boolean PRIMARY KEY DEFAULT true CONSTRAINT deployment_one_row CHECK (singleton),
    identity_key text NOT NULL
)
"""
ALARMS = """
CREATE TABLE alarms (
    kind text NOT NULL,
    subject text NOT NULL,
    day date NOT NULL,
    count bigint NOT NULL DEFAULT 1 CONSTRAINT alarms_counted CHECK (count > 0),
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    detail text NOT NULL,
    PRIMARY KEY (kind, subject, day)
)
"""
# Rows of before have no content hash: their repeats are kept anew.
NOTIFICATIONS = """
ALTER TABLE notifications
    ADD content_hash bytea,
    ADD repeats bigint NOT NULL DEFAULT 0,
    ADD last_received_at timestamptz,
    ADD CONSTRAINT notifications_kept_once UNIQUE (provider, account, content_hash),
    DROP CONSTRAINT notifications_outcome_known,
    ADD CONSTRAINT notifications_outcome_known
        CHECK (outcome IN ('received', 'signalled', 'duplicate', 'late', 'mismatch', 'foreign',
                           'excess', 'unknown_reference', 'ignored'))
"""


# What the sweep reads: few rows of large tables.
INDEXES = (
    "CREATE INDEX payments_pending ON payments (created_at) WHERE status = 'pending'",
    "CREATE INDEX payments_owing ON payments (created_at) WHERE duplicate OR late",
    "CREATE INDEX refunds_pending ON refunds (created_at) WHERE status = 'pending'",
    "CREATE INDEX events_waiting ON events (created_at) WHERE delivery = 'waiting'",
)


def upgrade() -> None:
    op.execute(DEPLOYMENT)
    op.execute(ALARMS)
    op.execute(NOTIFICATIONS)
    for statement in INDEXES:
        op.execute(statement)
