"""Codes on a payer's screen; a provider takes each for one order only."""

import secrets

PREFIXES = {"alipay": "28123", "wechatpay": "13006", "unionpay": "622848"}


def new_code(provider: str, ending: str = "9999") -> str:
    """Return a fresh code; the sandbox decides by its last four digits."""
    return f"{PREFIXES[provider]}{secrets.randbelow(10**9):09}{ending}"
