#!/bin/sh
# Gives the namespace its retention and our search attributes; safe to repeat.
# `temporal` reads TEMPORAL_ADDRESS itself.
set -eu

: "${TEMPORAL_NAMESPACE:?}" "${TEMPORAL_RETENTION:?}"
attempts=60

until temporal operator cluster health >/dev/null 2>&1; do
    attempts=$((attempts - 1))
    [ "$attempts" -gt 0 ] || { echo "Temporal at $TEMPORAL_ADDRESS does not answer" >&2; exit 1; }
    sleep 1
done

namespace="--namespace $TEMPORAL_NAMESPACE"
# shellcheck disable=SC2086  # two words, by intent
if temporal operator namespace describe $namespace >/dev/null 2>&1; then
    temporal operator namespace update $namespace --retention "$TEMPORAL_RETENTION"
else
    temporal operator namespace create $namespace --retention "$TEMPORAL_RETENTION"
fi

# A new namespace reaches every part of the server within a cache's refresh, so the first calls may
# not find it: they are repeated. Another type under the same name is a mistake that stays one.
attribute() {
    tries=20
    # shellcheck disable=SC2086
    until said="$(temporal operator search-attribute create $namespace --name "$1" --type "$2" 2>&1)"; do
        tries=$((tries - 1))
        case "$said" in *"different type"*) tries=0 ;; esac
        [ "$tries" -gt 0 ] || { echo "$1: $said" >&2; exit 1; }
        sleep 1
    done
    echo "$1 is a $2"
}

attribute PaymentStatus Keyword
attribute PaymentProvider Keyword
attribute PaymentChannel Keyword
attribute MerchantId Keyword
attribute OrderNo Keyword
attribute Amount Int
attribute Currency Keyword
attribute Attention Keyword
