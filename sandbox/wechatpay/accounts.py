import itertools
import json
import secrets
from pathlib import Path
from typing import Any

from sandbox.side import ControlError
from sandbox.wechatpay.keys import (
    Merchant,
    load_merchant,
    new_platform_certificate,
    new_public_key,
    save,
)
from sandbox.wechatpay.payer import random_digits


class Accounts:
    """The sandbox's merchants and the app that all are bound to; they outlive the process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        names = folder / "accounts.json"
        state = json.loads(names.read_text()) if names.exists() else _new_state()
        # Folders that were made before this merchant existed name only the first two.
        state.setdefault("zero_serial", str(int(state["cert"]) + 2))
        names.write_text(json.dumps(state, indent=2))
        self.appid: str = state["appid"]
        self._named = {
            name: load_merchant(
                folder / name,
                state[name],
                with_public_key=name == "pubkey",
                zero_serials=name == "zero_serial",
            )
            for name in ("cert", "pubkey", "zero_serial")
        }
        self.by_mchid: dict[str, Merchant] = {item.mchid: item for item in self._named.values()}

    def manifest(self) -> dict[str, Any]:
        """Every merchant's credentials by name."""
        return {name: item.manifest() for name, item in self._named.items()}

    def rotate(self, mode: str | None) -> None:
        """Move the merchant with platform certificates on; raises ControlError.

        `overlap` (or None): a new certificate joins, old and new take turns. `public_key`: a
        public key joins, answers follow the request's `Wechatpay-Serial`, notifications take
        turns. `finish`: only the newest certificate stays, or only the public key if there is
        one.
        """
        merchant = self._named["cert"]
        if mode in (None, "overlap") and merchant.certificates:
            merchant.certificates.append(new_platform_certificate(merchant.folder))
        elif mode == "public_key" and merchant.public_key is None:
            merchant.public_key = new_public_key(merchant.folder)
        elif mode == "finish":
            merchant.certificates = [] if merchant.public_key else merchant.certificates[-1:]
        else:
            raise ControlError(f"cannot rotate by {mode!r} now; overlap, public_key or finish")
        merchant.turns = itertools.count()
        save(merchant)


def _new_state() -> dict[str, str]:
    first = 1_600_000_000 + int(random_digits(6)) * 2
    return {"appid": f"wx{secrets.token_hex(8)}", "cert": str(first), "pubkey": str(first + 1)}
