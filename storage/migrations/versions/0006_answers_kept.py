"""A merchant's veto is kept with the event that it answers.

A run that loses the answer reads it here, and need not tell the merchant a second time.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE events ADD veto text")
