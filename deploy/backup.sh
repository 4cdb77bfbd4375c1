#!/bin/sh
# Writes one consistent copy of the whole PostgreSQL server: our databases and Temporal's together.
# Dumping them one by one would give two different moments, and workflows that disagree with rows.
#   deploy/backup.sh > /backups/paysaga-$(date +%F).tar.gz
set -eu
cd "$(dirname "$0")/.."

exec docker compose exec -T postgres \
    pg_basebackup --username=postgres --pgdata=- --format=tar --gzip --wal-method=fetch --checkpoint=fast
