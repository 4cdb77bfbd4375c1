#!/bin/sh
# Temporal's own command line, inside the stack and able to decrypt and encrypt payloads:
#   deploy/temporal.sh workflow describe --workflow-id payment-0190f3c27f6e7a3b9d103f1a2b4c5d6e
set -eu
cd "$(dirname "$0")/.."

# The codec binds what is entered to its workflow, so that it is good for no other.
workflow=
previous=
for word; do
    case "$previous" in --workflow-id | -w) workflow="$word" ;; esac
    case "$word" in --workflow-id=*) workflow="${word#*=}" ;; esac
    previous="$word"
done
[ -z "$workflow" ] || set -- "$@" --codec-header "X-Workflow-Id=$workflow"

# By name only, so that the token stands in no list of processes.
TEMPORAL_CODEC_AUTH="Bearer $(cat deploy/secrets/operator_token)"
export TEMPORAL_CODEC_AUTH
exec docker compose run --rm --no-deps --interactive=false --quiet-pull \
    --env TEMPORAL_CODEC_AUTH --env TEMPORAL_CODEC_ENDPOINT=http://api:8000/ops/codec \
    --entrypoint temporal temporal-namespace "$@"
