"""Tell Paysaga and the sandbox of each other.

Usage: `python -m deploy.sandbox_accounts MANIFEST ACCOUNTS PUBLIC_URL`. The catalogue of what its
stores sell is written beside the accounts, as `products.toml`.
"""

import asyncio
import json
import sys
from pathlib import Path

from cli.embedded.application import tell_notification_urls
from cli.embedded.environment import notification_settings, write_accounts, write_products

if __name__ == "__main__":
    manifest, accounts, public_url = sys.argv[1:]
    said = json.loads(Path(manifest).read_text())
    write_accounts(Path(accounts), said)
    write_products(Path(accounts).with_name("products.toml"), said)
    asyncio.run(tell_notification_urls(notification_settings(said, public_url)))
