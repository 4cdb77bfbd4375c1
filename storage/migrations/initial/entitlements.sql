-- In-app purchases. A grant binds an app store's transaction to the payment that it paid; an
-- entitlement is what a chain of transactions entitles its buyer to now.
--
-- Both are keyed by the store's identity, not by our account's name: `app` is the app and the
-- environment as the store names them, so that one transaction is granted once, by whatever account
-- it was verified.

CREATE TABLE grants (
    provider text NOT NULL,
    account text NOT NULL,
    app text NOT NULL CONSTRAINT grants_app_named CHECK (app <> ''),
    transaction_id text NOT NULL CHECK (transaction_id <> ''),
    original_transaction_id text NOT NULL CHECK (original_transaction_id <> ''),
    payment_id uuid NOT NULL REFERENCES payments (id),
    product_id text NOT NULL,
    product_type text NOT NULL CONSTRAINT grants_product_type_known CHECK (product_type IN
        ('consumable', 'non_consumable', 'subscription', 'non_renewing')),
    quantity integer NOT NULL CONSTRAINT grants_quantity_positive CHECK (quantity > 0),
    purchased_at timestamptz NOT NULL,
    -- When the store signed its newest report of this transaction.
    signed_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    -- In thousandths of a per cent.
    revoked_share integer CONSTRAINT grants_share_of_a_whole
        CHECK (revoked_share BETWEEN 0 AND 100000),
    test boolean NOT NULL,
    price bigint,
    currency text,
    storefront text,
    granted_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT grants_one_per_transaction PRIMARY KEY (provider, app, transaction_id)
);

CREATE INDEX grants_by_payment ON grants (payment_id);

CREATE TRIGGER not_removable BEFORE DELETE OR TRUNCATE ON grants
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_removal();

CREATE FUNCTION guard_grant() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.provider, NEW.account, NEW.app, NEW.transaction_id, NEW.original_transaction_id,
        NEW.payment_id, NEW.product_id, NEW.quantity, NEW.granted_at)
        IS DISTINCT FROM
       (OLD.provider, OLD.account, OLD.app, OLD.transaction_id, OLD.original_transaction_id,
        OLD.payment_id, OLD.product_id, OLD.quantity, OLD.granted_at) THEN
        PERFORM raise_violation('grants_fixed', 'The identity of a grant and its payment do not change.');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON grants
    FOR EACH ROW EXECUTE FUNCTION guard_grant();

CREATE TABLE entitlements (
    provider text NOT NULL,
    account text NOT NULL,
    app text NOT NULL,
    original_transaction_id text NOT NULL CHECK (original_transaction_id <> ''),
    payment_id uuid NOT NULL REFERENCES payments (id),
    merchant_id text NOT NULL REFERENCES merchants (id),
    product_id text NOT NULL,
    product_type text NOT NULL CONSTRAINT entitlements_product_type_known CHECK (product_type IN
        ('consumable', 'non_consumable', 'subscription', 'non_renewing')),
    transaction_id text NOT NULL,
    purchased_at timestamptz NOT NULL,
    status text NOT NULL CONSTRAINT entitlements_status_known CHECK (status IN
        ('active', 'grace', 'billing_retry', 'expired', 'refunded', 'revoked')),
    expires_at timestamptz,
    grace_until timestamptz,
    auto_renews boolean,
    signed_at timestamptz NOT NULL,
    test boolean NOT NULL,
    CONSTRAINT entitlements_one_per_chain PRIMARY KEY (provider, app, original_transaction_id),
    CONSTRAINT entitlements_newest_is_granted FOREIGN KEY (provider, app, transaction_id)
        REFERENCES grants (provider, app, transaction_id)
);

CREATE INDEX entitlements_by_payment ON entitlements (payment_id);

CREATE TRIGGER not_removable BEFORE DELETE OR TRUNCATE ON entitlements
    FOR EACH STATEMENT EXECUTE FUNCTION forbid_removal();
