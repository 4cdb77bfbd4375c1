#!/bin/sh
# Makes the private authority of the stack's Temporal server and the certificates under it, where
# they do not exist yet: temporal_ca, temporal_server and temporal_client, each `.crt` and `.key`.
#
#   deploy/make-certificates.sh [--renew] [FOLDER]
#
# --renew makes the server's and the client's anew under the same authority. Then
# `docker compose up --detach --force-recreate`: a container keeps the files it started with.
set -eu

renew=
[ "${1:-}" != --renew ] || { renew=yes; shift; }
folder="${1:-$(dirname "$0")/secrets}"
authority_days=3650
days=730

command -v openssl >/dev/null ||
    { echo "openssl is needed for certificates: apt-get install openssl" >&2; exit 1; }

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
umask 077

# Each file is moved to its place when it is whole; the certificate last, so that what is missing
# after an interruption is made again.
place() {
    chmod "$2" "$work/$1"
    mv -f "$work/$1" "$folder/$1"
}

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key"; }

# NAME SUBJECT DAYS EXTENSIONS: signed by itself, or by the authority where there is one.
certificate() {
    key "$1"
    printf '[req]\nprompt = no\ndistinguished_name = name\n[name]\nCN = %s\n[extensions]\n%s\n' \
        "$2" "$4" > "$work/$1.conf"
    if [ "$1" = temporal_ca ]; then
        openssl req -new -x509 -sha256 -days "$3" -key "$work/$1.key" \
            -config "$work/$1.conf" -extensions extensions -out "$work/$1.crt"
    else
        openssl req -new -sha256 -key "$work/$1.key" -config "$work/$1.conf" -out "$work/$1.csr"
        serial="0x$(openssl rand -hex 16)"
        openssl x509 -req -sha256 -days "$3" -in "$work/$1.csr" -set_serial "$serial" \
            -CA "$folder/temporal_ca.crt" -CAkey "$folder/temporal_ca.key" \
            -extfile "$work/$1.conf" -extensions extensions -out "$work/$1.crt" 2>"$work/log" ||
            { cat "$work/log" >&2; exit 1; }
    fi
}

if [ -e "$folder/temporal_ca.crt" ]; then
    echo "kept temporal_ca.crt"
else
    certificate temporal_ca "Paysaga Temporal authority" "$authority_days" \
        "basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash"
    # The authority's key stays with whoever runs this script; no container has it.
    place temporal_ca.key 0400
    place temporal_ca.crt 0444
    echo "made temporal_ca.crt"
fi

leaf() {
    if [ -e "$folder/$1.crt" ] && [ -z "$renew" ]; then
        echo "kept $1.crt"
        return
    fi
    certificate "$1" "$2" "$days" "basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
$3"
    place "$1.key" 0444
    place "$1.crt" 0444
    echo "made $1.crt"
}

# The server's parts are clients of each other.
leaf temporal_server temporal "extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:temporal"
leaf temporal_client paysaga "extendedKeyUsage = clientAuth
subjectAltName = DNS:paysaga"
