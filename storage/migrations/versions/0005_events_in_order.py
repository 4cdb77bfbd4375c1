"""A list of events has those of one payment in their order.

`now()` is when a transaction began: the same for two events of one, and earlier than the event that
another wrote while this one waited for the payment's row.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE events ALTER created_at SET DEFAULT clock_timestamp()")
