"""Kinds of fields in what merchants send: what their text may be, and how it is kept."""

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AwareDatetime, Field, HttpUrl, TypeAdapter
from pydantic.functional_validators import AfterValidator, BeforeValidator

from api.http.text import Text

# Bytes. A list answers with 100 of them, and whoever else is served then waits for that.
LARGEST_METADATA = 4096
MOST_METADATA = 20
_HTTP_URL = TypeAdapter(HttpUrl)


def _http_url(value: str) -> str:
    url = _HTTP_URL.validate_python(value)
    # `https://shop.example@evil.example` shows people one host and goes to another.
    if "@" in urlsplit(value).netloc or url.username is not None or "\\" in value:
        raise ValueError("a URL without a user, password or backslash is expected")
    return value


def _address(value: str) -> str:
    # A zone (`fe80::1%…`) may be any text at all, and means nothing outside its machine.
    if "%" in value:
        raise ValueError("an address without a zone is expected")
    return str(ip_address(value))


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is beyond the calendar in UTC") from None


def _of_bounded_length(value: Any) -> Any:
    # Before the first is looked at: each wrong one would be an error of its own.
    if isinstance(value, dict) and len(value) > MOST_METADATA:
        raise ValueError(f"at most {MOST_METADATA} keys are expected, not {len(value)}")
    return value


def _of_bounded_size(value: dict[str, str]) -> dict[str, str]:
    size = sum(len(name.encode()) + len(text.encode()) for name, text in value.items())
    if size > LARGEST_METADATA:
        raise ValueError(
            f"at most {LARGEST_METADATA} bytes of keys and values together are expected, not"
            f" {size}: keep the rest at your side, under the order number"
        )
    return value


# Kept as the merchant wrote it: a parsed URL would come back changed.
WebUrl = Annotated[Text, Field(max_length=512), AfterValidator(_http_url)]
Address = Annotated[str, AfterValidator(_address)]
# The database counts in UTC, where the calendar's first and last hours of some zones are not.
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
# Printable, so that it can be read aloud and searched for.
OrderNo = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,64}$", examples=["ORDER-20261122-0001"])
]
MetadataKey = Annotated[Text, Field(min_length=1, max_length=40)]
MetadataValue = Annotated[Text, Field(max_length=500)]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    BeforeValidator(_of_bounded_length),
    AfterValidator(_of_bounded_size),
]
