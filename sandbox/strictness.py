# Rules that no provider document settles: strict unless they are switched off.
RULES = {
    "alipay_v3_timestamp_window": "a timestamp may be 10 minutes off, or expired_seconds",
    "alipay_v3_repeated_nonce": "a repeated nonce is refused",
    "wechatpay_repeated_nonce": "a repeated nonce_str is refused",
    "alipay_timestamp_window": "a server's timestamp may be 15 minutes off, a checkout's a day",
    "wechatpay_openid": "an openid is o and 27 letters, digits, - or _",
    "unionpay_terminal": "a scanned code needs termId or termInfo",
    "alipay_buyer_open_id": "a buyer_open_id has at least 16 characters",
}


class Strictness:
    """Which of `RULES` hold: all, until they are switched off."""

    def __init__(self) -> None:
        self._rules = dict.fromkeys(RULES, True)

    def holds(self, rule: str) -> bool:
        """Return whether the rule is on."""
        return self._rules[rule]

    def all(self) -> dict[str, bool]:
        """Return every rule with its state."""
        return dict(self._rules)

    def set(self, rules: dict[str, bool]) -> None:
        """Switch some rules; raises ValueError, and changes nothing, for what is no switch."""
        for name, state in rules.items():
            if name not in RULES or not isinstance(state, bool):
                known = ", ".join(RULES)
                raise ValueError(f"{name!r}: {state!r} is no switch; true or false for {known}")
        self._rules |= rules

    def reset(self) -> None:
        """Switch every rule on."""
        self._rules = dict.fromkeys(RULES, True)
