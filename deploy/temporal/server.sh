#!/bin/sh
# The server takes its database password from the environment only. This reads it from the secret
# file in the last process before the server, so that `docker inspect` never shows it.
set -eu

POSTGRES_PWD="$(cat "${POSTGRES_PWD_FILE:?}")"
export POSTGRES_PWD
exec "${TEMPORAL_ENTRYPOINT:-/etc/temporal/entrypoint.sh}"
