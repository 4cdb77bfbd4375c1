"""Old notifications are found without reading the whole table."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX notifications_to_forget ON notifications (received_at) WHERE body <> ''"
    )
