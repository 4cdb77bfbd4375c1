"""Secrets and personal data where they can be read (P8)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.message import Message

from audit.finding import Finding, Promise
from engine.encryption import ENCODING
from providers.registry import secret_fields

# Shorter ones would be found in anything.
SHORTEST_SECRET = 12
_PAYLOAD = "temporal.api.common.v1.Payload"
# In clear by design; workflows/search_attributes.py keeps persons out of them.
_SEARCH_ATTRIBUTES = "temporal.api.common.v1.SearchAttributes"
# What the server writes itself where it cancels an activity that no worker had taken.
_OF_THE_SERVER = b'"ACTIVITY_ID_NOT_STARTED"'
# The SDK's notes: on a local activity (its name, its tries and their times), and on a change of the
# code that a run knows of (`workflow.patched`: the name that we gave it).
_OF_THE_SDK = re.compile(rb'\{"seq":|\{"id":"[^"]*","deprecated":(true|false)\}$')
_ADVICE = "Change the secret; find what wrote it there."


def in_clear(place: str, text: bytes, secrets: Mapping[str, str]) -> Iterator[Finding]:
    """A finding for each secret (by its name) that can be read in the bytes."""
    for name, secret in secrets.items():
        if len(secret) >= SHORTEST_SECRET and secret.encode() in text:
            yield Finding(Promise.SECRET_IN_CLEAR, "", f"{name} can be read in {place}", _ADVICE)


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


def key_material(accounts: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, str]:
    """The secrets of the provider accounts, by a name that may be shown.

    Every field that a provider's configuration declares as a secret. Of one of several lines, such
    as a private key, a line from its middle: enough to know it, and no two keys share it.
    """
    secrets = {}
    for provider, entries in accounts.items():
        fields = secret_fields(provider)
        for entry in entries:
            for field, value in entry.items():
                if field in fields:
                    lines = str(value).strip().splitlines()
                    name = f"{field} of {provider}/{entry.get('name', '')}"
                    secrets[name] = lines[len(lines) // 2]
    return secrets


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
