"""Secrets and personal data where they can be read (P8)."""

import functools
import json
import mmap
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from google.protobuf.message import Message

from engine.encryption import ENCODING
from reconciliation.audit.finding import Finding, Promise

# Shorter ones stand in anything.
SHORTEST_SECRET = 12
_PAYLOAD = "temporal.api.common.v1.Payload"
# In clear by design; workflows/search_attributes.py keeps personal data out of them.
_SEARCH_ATTRIBUTES = "temporal.api.common.v1.SearchAttributes"
# What the server writes itself where it cancels an activity that no worker had taken.
_OF_THE_SERVER = b'"ACTIVITY_ID_NOT_STARTED"'
# The SDK's notes: on a local activity (its name, its tries and their times), and on a change of the
# code that a workflow knows of (`workflow.patched`: the name that we gave it).
_OF_THE_SDK = re.compile(rb'\{"seq":|\{"id":"[^"]*","deprecated":(true|false)\}$')
# As storage/keys.py and webhooks/signing.py make them; a key's visible prefix is no secret.
_FORMS = {
    "an API key": re.compile(rb"psk_[A-Za-z0-9_-]{43}"),
    "a webhook secret": re.compile(rb"whsec_[A-Za-z0-9+/]{32}"),
}
_ADVICE = "Change the secret; find what wrote it there."


def in_clear(place: str, text: bytes | mmap.mmap, secrets: Mapping[str, str]) -> Iterator[Finding]:
    """A finding for each secret (by its name) that can be read in the bytes.

    As it is, percent-encoded or with JSON's escapes. One shorter than SHORTEST_SECRET stands in
    anything: it is found behind its field, the first part of its name. API keys and webhook
    secrets are found by their form too, known or not.
    """
    for name, secret in secrets.items():
        if _can_be_read(name, secret, text):
            yield Finding(Promise.SECRET_IN_CLEAR, "", f"{name} can be read in {place}", _ADVICE)
    for name, form in _FORMS.items():
        if form.search(text):
            yield Finding(Promise.SECRET_IN_CLEAR, "", f"{name} can be read in {place}", _ADVICE)


def _can_be_read(name: str, secret: str, text: bytes | mmap.mmap) -> bool:
    if not secret:
        return False
    if len(secret) < SHORTEST_SECRET:
        return _behind_its_field(name.partition(" ")[0], secret).search(text) is not None
    return any(text.find(form) >= 0 for form in _written(secret))


@functools.cache
def _written(secret: str) -> tuple[bytes, ...]:
    """The ways in which a log or a document may write the text."""
    forms = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
    return tuple(form.encode() for form in sorted(forms))


@functools.cache
def _behind_its_field(field: str, secret: str) -> re.Pattern[bytes]:
    """The field in any case and spelling (`pfxPassword`), a few signs, and the whole secret."""
    words = "[_-]?".join(map(re.escape, field.split("_")))
    forms = "|".join(re.escape(form.decode()) for form in _written(secret))
    return re.compile(rf"(?i:{words})\W.{{0,20}}?(?<!\w)(?:{forms})(?!\w)".encode())


def unsealed(place: str, message: Message) -> Iterator[Finding]:
    """A finding for each payload of the message that left us unsealed."""
    for payload in _payloads(message):
        encoding = payload.metadata.get("encoding", b"")
        theirs = payload.data == _OF_THE_SERVER or _OF_THE_SDK.match(payload.data)
        if payload.data and encoding != ENCODING and not theirs:
            yield Finding(
                Promise.SECRET_IN_CLEAR,
                "",
                f"a payload of {place} is {encoding.decode()!r}, {len(payload.data)} bytes",
                "Connect every client through engine.client, which seals.",
            )


def _payloads(message: Message) -> Iterator[Any]:
    name = message.DESCRIPTOR.full_name
    if name == _PAYLOAD:
        yield message
    if name in (_PAYLOAD, _SEARCH_ATTRIBUTES):
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = [value[key] for key in value]
        else:
            values = value if field.is_repeated else [value]
        for found in values:
            if isinstance(found, Message):
                yield from _payloads(found)
