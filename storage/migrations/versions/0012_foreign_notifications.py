"""Notifications about no payment of ours are counted by what differs: indexes of a day."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for outcome in ("foreign", "unknown_reference"):
        op.execute(
            f"CREATE INDEX notifications_{outcome} ON notifications"
            f" (provider, account, received_at) WHERE outcome = '{outcome}'"
        )
