MESSAGES = {
    "10000": "Success",
    "20000": "Service Currently Unavailable",
    "20001": "Insufficient Token Permissions",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40003": "Insufficient Conditions",
    "40004": "Business Failed",
    "40005": "Call Limited",
    "40006": "Insufficient Permissions",
}


class GatewayError(Exception):
    """An answer other than success.

    Unsigned where the real gateway cannot choose a key. `fields` go into the answer as well:
    failed money calls carry zero amounts.
    """

    def __init__(
        self,
        code: str,
        sub_code: str,
        sub_msg: str,
        *,
        signed: bool = True,
        fields: dict[str, str] | None = None,
    ) -> None:
        super().__init__(sub_code)
        self.code = code
        self.sub_code = sub_code
        self.sub_msg = sub_msg
        self.signed = signed
        self.fields = fields or {}

    def content(self) -> dict[str, str]:
        """The answer's node."""
        return {
            "code": self.code,
            "msg": MESSAGES[self.code],
            "sub_code": self.sub_code,
            "sub_msg": self.sub_msg,
        } | self.fields


def missing(what: str, sub_msg: str) -> GatewayError:
    """40001: a common parameter is not there; answered without a signature."""
    return GatewayError("40001", f"isv.missing-{what}", sub_msg, signed=False)


def invalid(what: str, sub_msg: str, *, signed: bool = True) -> GatewayError:
    """40002: a common parameter is wrong."""
    return GatewayError("40002", f"isv.{what}", sub_msg, signed=signed)


def business(sub_code: str, sub_msg: str, **fields: str) -> GatewayError:
    """40004: the trade's own rules say no."""
    return GatewayError("40004", f"ACQ.{sub_code}", sub_msg, fields=fields)


def invalid_parameter(what: str) -> GatewayError:
    """A field of the business content is missing or wrong."""
    return business("INVALID_PARAMETER", f"参数无效：{what}")
