"""Foreign notifications are counted by what differs: an index to count an account's day by."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX notifications_foreign ON notifications (provider, account, received_at)"
        " WHERE outcome = 'foreign'"
    )
