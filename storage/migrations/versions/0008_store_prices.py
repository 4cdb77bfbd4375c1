"""What a store's purchase really cost, and whether it was a test: paid with 0 captured.

Rows of before keep the list price as `captured`; their store's price stands with the grant.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# An older worker that still runs writes the list price: it fits these constraints too.
PAYMENTS = """
ALTER TABLE payments
    ADD test boolean NOT NULL DEFAULT false,
    ADD store_price bigint CONSTRAINT payments_store_price_not_negative CHECK (store_price >= 0),
    ADD store_currency text,
    ADD offer text CONSTRAINT payments_offer_known
        CHECK (offer IN ('introductory', 'promotional', 'code', 'win_back', 'other')),
    ADD CONSTRAINT payments_told_by_store
        CHECK (product_id IS NOT NULL
               OR NOT test AND num_nonnulls(store_price, store_currency, offer) = 0),
    DROP CONSTRAINT payments_captured_where_paid,
    ADD CONSTRAINT payments_captured_where_paid
        CHECK (CASE WHEN status = 'succeeded' OR late
                    THEN captured > 0 OR test OR offer IS NOT NULL
                         OR coalesce(store_price = 0, false)
                    ELSE captured = 0 END)
"""
# A purchase for nothing has its number for itself as well.
ONE_PER_REFERENCE = """
CREATE UNIQUE INDEX payments_one_per_provider_reference
    ON payments (provider, account, provider_reference)
    WHERE provider_reference IS NOT NULL AND (status = 'succeeded' OR late)
"""
CHARGE_STAYS = """
CREATE FUNCTION guard_payment_charge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse('payments_money_forward', 'What was charged stays as it was told.');
    RETURN NEW;
END $$
"""
GUARD = """
CREATE TRIGGER payments_charge_stays BEFORE UPDATE ON payments FOR EACH ROW
    WHEN ((OLD.status = 'succeeded' OR OLD.late)
          AND (OLD.captured, OLD.test, OLD.store_price, OLD.store_currency, OLD.offer)
              IS DISTINCT FROM
              (NEW.captured, NEW.test, NEW.store_price, NEW.store_currency, NEW.offer))
    EXECUTE FUNCTION guard_payment_charge()
"""


def upgrade() -> None:
    op.execute(PAYMENTS)
    op.execute("DROP INDEX payments_one_per_provider_reference")
    op.execute(ONE_PER_REFERENCE)
    op.execute(CHARGE_STAYS)
    op.execute("ALTER FUNCTION guard_payment_charge() SET search_path = public, pg_temp")
    op.execute(GUARD)
