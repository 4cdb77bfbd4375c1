#!/bin/sh
# Prints a `.env` line for each image: the digest that the registry serves for its tag today.
#   deploy/pin-digests.sh >> .env
set -eu
cd "$(dirname "$0")/.."

line() {
    digest="$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$2")"
    echo "$1=@$digest"
}

# The tag as written, without the variable that follows it.
tag() { sed -nE "s;^ *(image:|FROM) ($1:[^\$ ]+)[\$]\{$2.*;\2;p" docker-compose.yml Dockerfile | head -n 1; }

line PYTHON_DIGEST "$(tag python PYTHON_DIGEST)"
line POSTGRES_DIGEST "$(tag postgres POSTGRES_DIGEST)"
line TEMPORAL_SERVER_DIGEST "$(tag temporalio/server TEMPORAL_SERVER_DIGEST)"
line TEMPORAL_ADMIN_TOOLS_DIGEST "$(tag temporalio/admin-tools TEMPORAL_ADMIN_TOOLS_DIGEST)"
line TEMPORAL_UI_DIGEST "$(tag temporalio/ui TEMPORAL_UI_DIGEST)"
