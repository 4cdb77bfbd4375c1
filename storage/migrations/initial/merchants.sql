CREATE TABLE merchants (
    id text PRIMARY KEY CHECK (id <> ''),
    name text NOT NULL,
    webhook_url text,
    -- Signing needs the secret itself, so that it is encrypted, not hashed.
    webhook_secret text
        CONSTRAINT merchants_webhook_secret_encrypted CHECK (webhook_secret LIKE 'encrypted:%'),
    late_policy text NOT NULL
        CONSTRAINT merchants_late_policy_known CHECK (late_policy IN ('refund', 'accept'))
);

-- Of a key the digest alone is kept; `prefix` is the part that may be shown.
CREATE TABLE api_keys (
    digest bytea PRIMARY KEY CONSTRAINT api_keys_sha256 CHECK (length(digest) = 32),
    prefix text NOT NULL CONSTRAINT api_keys_one_prefix UNIQUE,
    merchant_id text NOT NULL REFERENCES merchants (id),
    label text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX api_keys_by_merchant ON api_keys (merchant_id);
CREATE TRIGGER guard BEFORE UPDATE ON api_keys FOR EACH ROW
    WHEN (OLD.revoked_at IS DISTINCT FROM NEW.revoked_at AND OLD.revoked_at IS NOT NULL)
    EXECUTE FUNCTION forbid_change('api_keys_revoked_for_good', 'A revoked key stays revoked.');
