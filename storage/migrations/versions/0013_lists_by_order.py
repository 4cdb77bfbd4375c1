"""A list of one order's payments is read in its own order, however many the order has."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX payments_newest_of_order"
        " ON payments (merchant_id, order_no, created_at DESC, id DESC)"
    )
    op.execute("DROP INDEX payments_by_order")
