#!/bin/sh
# Runs once, when PostgreSQL starts on an empty volume: roles and their own databases for each of the
# two users of this server, so that neither can read the other's tables. paysaga_owner owns and
# migrates ours; paysaga, which API and workers run as, gets its privileges from the migration.
# On a managed PostgreSQL run the same statements by hand (docs/operations.md).
set -eu
export SECRETS="${SECRETS:-/run/secrets}"

psql --no-psqlrc -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
-- Backquotes read the passwords inside psql: they reach neither a command line nor a log.
\set paysaga_owner_password `cat "$SECRETS/paysaga_owner_password"`
\set paysaga_password `cat "$SECRETS/paysaga_database_password"`
\set temporal_password `cat "$SECRETS/temporal_database_password"`

CREATE ROLE paysaga_owner LOGIN PASSWORD :'paysaga_owner_password';
CREATE ROLE paysaga LOGIN PASSWORD :'paysaga_password';
CREATE DATABASE paysaga OWNER paysaga_owner;
REVOKE ALL ON DATABASE paysaga FROM PUBLIC;
\connect paysaga
ALTER SCHEMA public OWNER TO paysaga_owner;
\connect postgres

CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE ALL ON DATABASE temporal FROM PUBLIC;
REVOKE ALL ON DATABASE temporal_visibility FROM PUBLIC;
SQL
