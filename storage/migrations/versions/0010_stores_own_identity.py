"""Grants and entitlements are keyed by the store's own identity, not by our account's name.

`app` is the app and the environment as the store names them: one transaction is granted once,
whatever the operator calls the account that it was verified by. Only the configuration knows the
app of an account, so that rows of before keep the account's name there until the API starts.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# The foreign key rests on the grants' key, and goes first. It cascades: with a grant's app changes
# that of the entitlement.
STATEMENTS = (
    "ALTER TABLE entitlements DROP CONSTRAINT entitlements_newest_is_granted",
    "ALTER TABLE grants ADD app text",
    "UPDATE grants SET app = account",
    """
    ALTER TABLE grants
        ALTER app SET NOT NULL,
        ADD CONSTRAINT grants_app_named CHECK (app <> ''),
        DROP CONSTRAINT grants_one_per_transaction,
        ADD CONSTRAINT grants_one_per_transaction PRIMARY KEY (provider, app, transaction_id)
    """,
    "ALTER TABLE entitlements ADD app text",
    "UPDATE entitlements SET app = account",
    """
    ALTER TABLE entitlements
        ALTER app SET NOT NULL,
        DROP CONSTRAINT entitlements_one_per_chain,
        ADD CONSTRAINT entitlements_one_per_chain
            PRIMARY KEY (provider, app, original_transaction_id),
        ADD CONSTRAINT entitlements_newest_is_granted FOREIGN KEY (provider, app, transaction_id)
            REFERENCES grants (provider, app, transaction_id) ON UPDATE CASCADE
    """,
    # What a start looks for; empty once all are named.
    "CREATE INDEX grants_without_app ON grants (provider, account) WHERE app = account",
)
GUARD_GRANT = """
CREATE OR REPLACE FUNCTION guard_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.provider, NEW.account, NEW.transaction_id, NEW.original_transaction_id,
        NEW.payment_id, NEW.product_id, NEW.quantity, NEW.granted_at)
        IS DISTINCT FROM
       (OLD.provider, OLD.account, OLD.transaction_id, OLD.original_transaction_id,
        OLD.payment_id, OLD.product_id, OLD.quantity, OLD.granted_at)
       -- The app of an older row becomes known once.
       OR NEW.app <> OLD.app AND OLD.app <> OLD.account THEN
        PERFORM refuse('grants_fixed', 'What was granted, and for which payment, does not change.');
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    for statement in (*STATEMENTS, GUARD_GRANT):
        op.execute(statement)
    op.execute("ALTER FUNCTION guard_grant() SET search_path = public, pg_temp")
