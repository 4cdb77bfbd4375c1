#!/bin/sh
# Runs once, when PostgreSQL starts on an empty volume: one role and its own databases for each of
# the two users of this server, so that neither can read the other's tables.
# On a managed PostgreSQL run the same statements by hand (docs/operations.md).
set -eu
export SECRETS="${SECRETS:-/run/secrets}"

psql --no-psqlrc -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
-- Backquotes read the passwords inside psql: they reach neither a command line nor a log.
\set paysaga_password `cat "$SECRETS/paysaga_database_password"`
\set temporal_password `cat "$SECRETS/temporal_database_password"`

CREATE ROLE paysaga LOGIN PASSWORD :'paysaga_password';
CREATE DATABASE paysaga OWNER paysaga;
REVOKE ALL ON DATABASE paysaga FROM PUBLIC;

CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE ALL ON DATABASE temporal FROM PUBLIC;
REVOKE ALL ON DATABASE temporal_visibility FROM PUBLIC;
SQL
