"""What becomes of a genuine message in hostile hands."""

import gzip
import json
import os
import zlib
from dataclasses import dataclass, field, replace
from functools import cache

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# `make fuzz` asks for more than the suite has time for, and for other examples each time.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
LARGEST = 64 * 1024


def thorough(examples: int) -> settings:
    """The same `examples` on every run, or as many new ones as FUZZ_EXAMPLES says."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@dataclass(frozen=True)
class Message:
    """What arrives: header names are lower-case, as a web server hands them on."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """As they stand on the wire."""
        return [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]


TOKENS = (
    b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x1f\x8b\x08", b"\r\n", b"%", b"%zz",
    b"%00", b"%ED%A0%80", b"+", b"&", b"=", b"&sign=", b"&charset=GBK", b'"', b"\\", b"\\u0000",
    b"\\ud83c", b"null", b"true", b"-1", b"1e999", b"NaN", b"Infinity", b"-0", b"{}", b"[]", b"{",
    b"}", b"[", b",", b":", b"9" * 30, b"9" * 5000, b"[" * 2000, b'{"a":' * 2000, b"0001-01-01",
    b"9999-12-31 23:59:59", b"A" * 3000, "٣".encode(), "龙".encode("gbk"),
)  # fmt: skip
_transcodings = st.sampled_from(
    [
        lambda body: body.decode("utf-8", "replace").encode("utf-16"),
        lambda body: body.decode("utf-8", "replace").encode("gb18030"),
        lambda body: b"\xef\xbb\xbf" + body,
        gzip.compress,
        zlib.compress,
        lambda body: body + body,
        lambda body: body.lower(),
        lambda body: body[:0],
    ]
)
_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just("\ud800"),
    st.sampled_from(["\0", "9" * 400, 10**400, [], {}, [[]], "0001-01-01T00:00:00+08:00",
                     "0001-01-01 00:00:00", "9999-12-31T23:59:59-08:00", "x" * 3000]),
)  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn, body: bytes) -> bytes:
    """The bytes after one to three accidents, whatever they are bytes of."""
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(body))] * 2)))
        middle = draw(
            st.one_of(
                st.just(b""),
                st.just(body[start:end] * 2),
                st.sampled_from(TOKENS),
                st.binary(max_size=8),
            )
        )
        kind = draw(st.integers(0, 5))
        if kind == 0:
            body = body[:start]
        elif kind == 1:
            body = draw(_transcodings)(body)
        else:
            # A narrow cut is what meets a value; a wide one only breaks the form.
            end = min(end, start + draw(st.sampled_from([0, 1, 8, 1000])))
            body = body[:start] + middle + body[end:]
    return body[:LARGEST]


@st.composite
def retold(draw: st.DrawFn, body: bytes) -> bytes:
    """A JSON object with some of its values replaced, or the bytes mangled."""
    if draw(st.booleans()) or not body.startswith(b"{"):
        return draw(mangled(body))
    found = json.loads(body)
    for key in draw(st.sets(st.sampled_from(sorted(found)), min_size=1, max_size=3)):
        inner = found[key]
        if isinstance(inner, dict) and inner and draw(st.booleans()):
            inner[draw(st.sampled_from(sorted(inner)))] = draw(_values)
        else:
            found[key] = draw(_values)
    return json.dumps(found, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")


@st.composite
def tampered(draw: st.DrawFn, message: Message) -> Message:
    """The message with its body or one header mangled, and no new signature."""
    if not message.headers or draw(st.integers(0, 2)):
        return replace(message, body=draw(mangled(message.body)))
    name = draw(st.sampled_from(sorted(message.headers)))
    value = draw(mangled(message.headers[name].encode("latin-1"))).decode("latin-1")
    kept = {key: text for key, text in message.headers.items() if key != name}
    return replace(message, headers=kept | ({name: value} if draw(st.booleans()) else {}))


@cache
def bombs(size: int) -> dict[str, bytes]:
    """Bodies of at most `size` bytes, each made to cost its reader far more."""
    return {
        "deep arrays": b"[" * size,
        "deep objects": (b'{"a":' * size)[:size],
        "closed deep arrays": b"[" * (size // 2) + b"]" * (size // 2),
        "almost too deep": b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
        "many digits": b'{"amount":' + b"9" * (size - 11) + b"}",
        "a large exponent": b'{"amount":1e999999999}',
        "a long fraction": b'{"amount":0.' + b"9" * (size - 13) + b"}",
        "not a number": b'{"amount":NaN,"total":Infinity}',
        "many small values": b"[" + b"[]," * (size // 3 - 1) + b"0]",
        "many objects": b"[" + b"{}," * (size // 3 - 1) + b"0]",
        "one key very often": b"{" + b'"a":0,' * (size // 6 - 1) + b'"a":0}',
        "many form fields": b"".join(b"%x&" % number for number in range(size // 5)),
        "one form field very often": (b"a=&" * size)[:size],
        "many equals": b"=" * size,
        "many percents": b"%" * size,
        "many escapes": (b"%41" * size)[:size],
        "many plusses": b"+" * size,
        "many backslashes": b'"' + b"\\" * (size - 1),
        "nothing but NUL": bytes(size),
        "half surrogates": b'{"code":"' + (b"\\ud83c" * size)[: size // 6 * 6 - 12] + b'"}',
        "raw surrogates": (b"\xed\xa0\x80" * size)[:size],
        "random": bytes(range(256)) * (size // 256),
        "spaces": b" " * size,
        "base64": b"A" * size,
        "gzip bomb": gzip.compress(bytes(8 * 1024 * 1024))[:size],
        "certificate armour": (b"-----BEGIN CERTIFICATE-----" * size)[:size],
    }
