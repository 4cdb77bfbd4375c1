"""Tell Paysaga of the sandbox's accounts: `python -m deploy.sandbox_accounts MANIFEST ACCOUNTS`."""

import json
import sys
from pathlib import Path

from embedded.environment import write_accounts

if __name__ == "__main__":
    manifest, accounts = (Path(argument) for argument in sys.argv[1:3])
    write_accounts(accounts, json.loads(manifest.read_text()))
