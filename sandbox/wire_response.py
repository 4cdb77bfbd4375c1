from collections.abc import Mapping

from starlette.responses import Response

# What a provider's side answers for itself where an address or a method is not one of its own.
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class WireResponse(Response):
    """An answer whose header names reach the wire with the capitals of `headers`.

    Starlette lower-cases them; clients exist that compare the documented spelling.
    """

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Fill `raw_headers`, which the server sends as they are."""
        super().init_headers(headers)
        written = {name.lower(): name for name in headers or ()}
        self.raw_headers = [
            (written.get(name.decode("latin-1"), name.decode("latin-1")).encode("latin-1"), value)
            for name, value in self.raw_headers
        ]
