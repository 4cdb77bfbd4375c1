"""Create the tables, and the constraints that hold even if the code above them is wrong.

The SQL is in `storage/migrations/initial/`, a file a table or two, in the order of `FILES`.
"""

from pathlib import Path
from typing import Any

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FOLDER = Path(__file__).parent.parent / "initial"
# Tables after those that they reference; erasure, whose triggers are on four of them, last.
FILES = (
    *("functions", "merchants", "payments", "refunds", "events", "entitlements"),
    *("notifications", "operations", "erasure"),
)


def upgrade() -> None:
    driver: Any = op.get_bind().connection.dbapi_connection
    for name in FILES:
        script = (FOLDER / f"{name}.sql").read_text()
        # Only asyncpg's own connection takes a script of several statements; it is the connection
        # of this transaction.
        driver.run_async(lambda connection, script=script: connection.execute(script))
