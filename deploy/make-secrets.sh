#!/bin/sh
# Makes every secret of docker-compose.yml that does not exist yet; never overwrites one.
#
# The folder belongs to you alone (0700). The files in it are readable by all (0444), because each
# container reads its own few as a user of its own, and no other container sees them at all.
set -eu

folder="${1:-$(dirname "$0")/secrets}"
mkdir -p "$folder/accounts"
chmod 0700 "$folder"
chmod 0755 "$folder/accounts"

random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

make() {
    if [ -e "$folder/$1" ]; then
        echo "kept $1"
        return
    fi
    cat > "$folder/$1"
    chmod 0444 "$folder/$1"
    echo "made $1"
}

for name in postgres_password paysaga_owner_password paysaga_database_password temporal_database_password operator_token; do
    random | make "$name"
done

# Never another one while the database lives: ids are derived with it (docs/operations.md).
head -c 32 /dev/urandom | base64 | make identity_key

make payload_keys.toml <<TOML
# The key that seals, and every key that may still have sealed something.
current = "k1"

[keys]
k1 = "$(head -c 32 /dev/urandom | base64)"
TOML

"$(dirname "$0")/make-certificates.sh" "$folder"

[ -e "$folder/accounts/accounts.toml" ] ||
    echo "next: write $folder/accounts/accounts.toml (deploy/accounts.example.toml)"
