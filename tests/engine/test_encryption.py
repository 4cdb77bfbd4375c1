import base64
import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from crypto.key_ring import KeyRing, KeyRingError, new_key_file
from engine.encryption import PayloadEncryption, SealedPayloadError, data_converter

SECRET = "6222021234567890 张三"


class Payer(BaseModel):
    card: str


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing(newest="k1", keys={"k1": bytes(range(32))})


@pytest.fixture
def rotated() -> KeyRing:
    return KeyRing(newest="k2", keys={"k1": bytes(range(32)), "k2": bytes(range(32, 64))})


async def sealed(ring: KeyRing, data: bytes = SECRET.encode()) -> Payload:
    plain = Payload(metadata={"encoding": b"json/plain"}, data=data)
    return (await PayloadEncryption(ring).encode([plain]))[0]


def complain(card: str) -> None:
    raise ApplicationError(f"card {card}", card)


async def opened(ring: KeyRing, payloads: Sequence[Payload]) -> list[Payload]:
    return await PayloadEncryption(ring).decode(payloads)


async def test_a_sealed_payload_opens_to_the_same_payload(ring: KeyRing) -> None:
    payload = await sealed(ring)

    assert SECRET.encode() not in payload.SerializeToString()
    (plain,) = await opened(ring, [payload])
    assert plain.data == SECRET.encode()
    assert plain.metadata["encoding"] == b"json/plain"


async def test_the_same_payload_never_seals_twice_alike(ring: KeyRing) -> None:
    first, second = await sealed(ring), await sealed(ring)

    assert first.data != second.data


async def test_after_a_rotation_the_newest_seals_and_the_old_still_opens(
    ring: KeyRing, rotated: KeyRing
) -> None:
    old, new = await sealed(ring), await sealed(rotated)

    assert new.metadata["encryption-key-id"] == b"k2"
    assert [p.data for p in await opened(rotated, [old, new])] == [SECRET.encode()] * 2
    with pytest.raises(SealedPayloadError, match="k2"):
        await opened(ring, [new])


async def test_another_key_id_on_the_same_key_is_refused(ring: KeyRing) -> None:
    both = KeyRing(newest="k1", keys={"k1": ring.keys["k1"], "twin": ring.keys["k1"]})
    payload = await sealed(ring)
    payload.metadata["encryption-key-id"] = b"twin"

    with pytest.raises(SealedPayloadError, match="altered"):
        await opened(both, [payload])


@pytest.mark.parametrize("position", [0, 11, 12, -1])
async def test_one_flipped_bit_is_refused(ring: KeyRing, position: int) -> None:
    payload = await sealed(ring)
    data = bytearray(payload.data)
    data[position] ^= 1
    payload.data = bytes(data)

    with pytest.raises(SealedPayloadError, match="altered"):
        await opened(ring, [payload])


@pytest.mark.parametrize("length", [0, 5, 12, 20])
async def test_a_cut_payload_is_refused(ring: KeyRing, length: int) -> None:
    payload = await sealed(ring)
    payload.data = payload.data[:length]

    with pytest.raises(SealedPayloadError, match="altered"):
        await opened(ring, [payload])


async def test_a_payload_in_another_encoding_passes_through(ring: KeyRing) -> None:
    foreign = Payload(metadata={"encoding": b"binary/plain"}, data=b"\x00\x01")

    assert await opened(ring, [foreign]) == [foreign]


@given(data=st.binary(max_size=4096))
async def test_any_bytes_survive_the_round_trip(data: bytes) -> None:
    ring = KeyRing(newest="k", keys={"k": b"k" * 32})
    (plain,) = await opened(ring, [await sealed(ring, data)])

    assert plain.data == data


async def test_an_error_leaves_without_its_message_and_stack(ring: KeyRing) -> None:
    converter = data_converter(ring)
    failure = Failure()
    with pytest.raises(ApplicationError) as raised:
        complain(SECRET)
    await converter.encode_failure(raised.value, failure)

    assert SECRET.encode() not in failure.SerializeToString()
    assert b"test_encryption" not in failure.SerializeToString()
    again = await converter.decode_failure(failure)
    assert str(again) == f"card {SECRET}"


async def test_models_arrive_as_models(ring: KeyRing) -> None:
    converter = data_converter(ring)
    payloads = await converter.encode([Payer(card=SECRET)])

    assert await converter.decode(payloads, [Payer]) == [Payer(card=SECRET)]


def test_a_new_key_file_makes_a_ring_that_no_other_file_opens() -> None:
    first, second = KeyRing.parse(new_key_file()), KeyRing.parse(new_key_file())

    assert first.newest == "k1"
    assert first.keys != second.keys


def test_an_older_key_stays_in_the_file_beside_the_current_one() -> None:
    old, new = (base64.b64encode(key * 32).decode() for key in (b"a", b"b"))
    ring = KeyRing.parse(f'current = "k2"\n[keys]\nk1 = "{old}"\nk2 = "{new}"\n')

    assert ring == KeyRing(newest="k2", keys={"k1": b"a" * 32, "k2": b"b" * 32})


@pytest.mark.parametrize(
    "text",
    [
        "",
        'current = "k1"',
        'current = "k1"\n[keys]',
        'current = ["k1"]\n[keys]\nk1 = 1',
        'current = "k1"\nkeys = "k1"',
        'current = "k1"\n[keys]\nk1 = "not base64!"',
        f'current = "k1"\n[keys]\nk1 = "{base64.b64encode(b"short").decode()}"',
        f'current = "k2"\n[keys]\nk1 = "{base64.b64encode(bytes(32)).decode()}"',
    ],
)
def test_a_bad_key_file_is_refused(text: str) -> None:
    with pytest.raises(KeyRingError):
        KeyRing.parse(text)


def test_a_ring_without_its_newest_key_is_refused(ring: KeyRing) -> None:
    with pytest.raises(KeyRingError, match="k9"):
        dataclasses.replace(ring, newest="k9")


def test_keys_do_not_show_in_a_log(ring: KeyRing) -> None:
    assert "x01" not in repr(ring)
    assert "x01" not in str(ring)
