#!/bin/sh
# Temporal's own command line, inside the stack and able to open and seal payloads:
#   deploy/temporal.sh workflow describe --workflow-id payment-0190f3c27f6e7a3b9d103f1a2b4c5d6e
set -eu
cd "$(dirname "$0")/.."

# By name only, so that the token stands in no list of processes.
TEMPORAL_CODEC_AUTH="Bearer $(cat deploy/secrets/operator_token)"
export TEMPORAL_CODEC_AUTH
exec docker compose run --rm --no-deps --interactive=false --quiet-pull \
    --env TEMPORAL_CODEC_AUTH --env TEMPORAL_CODEC_ENDPOINT=http://api:8000/ops/codec \
    --entrypoint temporal temporal-namespace "$@"
