#!/bin/sh
# Healthy: the frontend has answered calls of the server's own system workflows. From outside it
# serves nobody without a certificate, and no program of this image could show one.
set -eu

wget -q -O - "http://${METRICS_ADDRESS:-127.0.0.1:9090}/metrics" |
    grep -q '^service_requests{.*service_name="frontend"'
