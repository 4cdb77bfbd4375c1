#!/bin/sh
# Brings both Temporal databases to the schema of this admin-tools image. Safe to repeat: an
# existing schema is only ever moved forward, and that is also how an upgrade is done.
# temporal-sql-tool reads SQL_HOST, SQL_PORT, SQL_USER and SQL_PLUGIN itself.
set -eu

SQL_PASSWORD="$(cat "${SQL_PASSWORD_FILE:?}")"
export SQL_PASSWORD
schemas="${TEMPORAL_SCHEMAS:-/etc/temporal/schema/postgresql/v12}"

update() {
    temporal-sql-tool --db "$1" setup-schema -v 0.0
    temporal-sql-tool --db "$1" update-schema -d "$schemas/$2/versioned"
}

update temporal temporal
update temporal_visibility visibility
