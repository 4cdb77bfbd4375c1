import base64
import dataclasses
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    ActivitySerializationContext,
    SerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from crypto.encryption import Encryption
from crypto.key_ring import KeyRing, KeyRingError, new_key_file
from engine.converter import data_converter
from engine.encryption import REJECTED, PayloadDecryptionError, PayloadEncryption

SECRET = "6222021234567890 张三"


class Payer(BaseModel):
    card: str


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing(newest="k1", keys={"k1": bytes(range(32))})


@pytest.fixture
def rotated() -> KeyRing:
    return KeyRing(newest="k2", keys={"k1": bytes(range(32)), "k2": bytes(range(32, 64))})


HERE = WorkflowSerializationContext(namespace="shop", workflow_id="payment-1")
QUERY = ActivitySerializationContext(
    namespace="shop",
    activity_id=None,
    activity_type="query_payment",
    activity_task_queue=None,
    workflow_id="payment-1",
    workflow_type=None,
    is_local=False,
)


async def encrypted(
    ring: KeyRing, data: bytes = SECRET.encode(), context: SerializationContext = HERE
) -> Payload:
    plain = Payload(metadata={"encoding": b"json/plain"}, data=data)
    return (await PayloadEncryption(ring, context=context).encode([plain]))[0]


def complain(card: str) -> None:
    raise ApplicationError(f"card {card}", card)


async def decrypted(
    ring: KeyRing, payload: Payload, context: SerializationContext | None = HERE
) -> Payload:
    return (await PayloadEncryption(ring, context=context).decode([payload]))[0]


async def rejection(
    ring: KeyRing, payload: Payload, context: SerializationContext | None = HERE
) -> str:
    """Why the payload is rejected."""
    found = await decrypted(ring, payload, context)
    assert found.metadata["encoding"] == REJECTED, "it was accepted"
    return found.data.decode()


async def test_an_encrypted_payload_is_decrypted_to_the_same_payload(ring: KeyRing) -> None:
    payload = await encrypted(ring)

    assert SECRET.encode() not in payload.SerializeToString()
    plain = await decrypted(ring, payload)
    assert plain.data == SECRET.encode()
    assert plain.metadata == {"encoding": b"json/plain"}


async def test_the_same_payload_is_never_encrypted_twice_alike(ring: KeyRing) -> None:
    first, second = await encrypted(ring), await encrypted(ring)

    assert first.data != second.data


async def test_after_a_rotation_the_newest_encrypts_and_the_old_still_decrypts(
    ring: KeyRing, rotated: KeyRing
) -> None:
    old, new = await encrypted(ring), await encrypted(rotated)

    assert new.metadata["encryption-key-id"] == b"k2"
    assert [(await decrypted(rotated, p)).data for p in (old, new)] == [SECRET.encode()] * 2


async def test_a_payload_under_a_key_that_is_not_here_yet_waits_for_it(
    ring: KeyRing, rotated: KeyRing
) -> None:
    # An error of the task, which is retried: during a rotation nothing genuine may be dropped.
    with pytest.raises(PayloadDecryptionError, match="k2"):
        await decrypted(ring, await encrypted(rotated))


async def test_a_payload_that_names_any_other_key_is_rejected(ring: KeyRing) -> None:
    payload = await encrypted(ring)
    payload.metadata["encryption-key-id"] = b"k9"

    assert "'k9'" in await rejection(ring, payload)
    payload.metadata["encryption-key-proof"] = bytes(32)
    assert "'k9'" in await rejection(ring, payload)


async def test_another_key_id_on_the_same_key_is_rejected(ring: KeyRing) -> None:
    both = KeyRing(newest="k1", keys={"k1": ring.keys["k1"], "twin": ring.keys["k1"]})
    payload = await encrypted(ring)
    payload.metadata["encryption-key-id"] = b"twin"

    assert "altered" in await rejection(both, payload)


@pytest.mark.parametrize("position", [0, 11, 12, -1])
async def test_one_flipped_bit_is_rejected(ring: KeyRing, position: int) -> None:
    payload = await encrypted(ring)
    data = bytearray(payload.data)
    data[position] ^= 1
    payload.data = bytes(data)

    assert "altered" in await rejection(ring, payload)


@pytest.mark.parametrize("length", [0, 5, 12, 20])
async def test_a_cut_payload_is_rejected(ring: KeyRing, length: int) -> None:
    payload = await encrypted(ring)
    payload.data = payload.data[:length]

    assert "altered" in await rejection(ring, payload)


@pytest.mark.parametrize("encoding", [b"json/plain", b"binary/null", b"binary/rejected", b""])
async def test_a_payload_that_is_not_encrypted_is_rejected(ring: KeyRing, encoding: bytes) -> None:
    foreign = Payload(metadata={"encoding": encoding}, data=b"1")

    assert await rejection(ring, foreign) == "it is not encrypted"
    assert await rejection(ring, foreign, None) == "it is not encrypted"
    assert PayloadEncryption(ring).decode_for_display([foreign]) == [foreign]
    tests = PayloadEncryption(ring, accept_unencrypted=True)
    assert await tests.decode([foreign]) == [foreign]


@pytest.mark.parametrize(
    "context",
    [
        dataclasses.replace(HERE, workflow_id="payment-2"),
        dataclasses.replace(HERE, namespace="other"),
        QUERY,
    ],
)
async def test_a_payload_of_another_workflow_or_activity_is_rejected(
    ring: KeyRing, context: SerializationContext
) -> None:
    assert "bound to" in await rejection(ring, await encrypted(ring), context)
    assert "bound to" in await rejection(ring, await encrypted(ring, context=context), HERE)


@pytest.mark.parametrize("change", [{"workflow_id": "payment-2"}, {"activity_type": "refund"}])
async def test_a_payload_of_another_activity_is_rejected(
    ring: KeyRing, change: dict[str, str]
) -> None:
    other = dataclasses.replace(QUERY, **change)  # type: ignore[arg-type]
    assert "bound to" in await rejection(ring, await encrypted(ring, context=QUERY), other)


async def test_a_payload_cannot_be_bound_anew(ring: KeyRing) -> None:
    payload = await encrypted(ring)
    payload.metadata["bound-to"] = b"w:shop/payment-2"
    there = dataclasses.replace(HERE, workflow_id="payment-2")

    assert "altered" in await rejection(ring, payload, there)
    del payload.metadata["bound-to"]
    assert "altered" in await rejection(ring, payload)


async def test_a_payload_that_an_older_build_encrypted_waits_for_that_build(ring: KeyRing) -> None:
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    found = Encryption(ring).encrypt(plain.SerializeToString())
    metadata = {"encoding": b"binary/encrypted", "encryption-key-id": b"k1"}

    with pytest.raises(PayloadDecryptionError, match="go back"):
        await decrypted(ring, Payload(metadata=metadata, data=found.data))


async def test_a_schedules_arguments_are_good_for_its_workflows_alone(ring: KeyRing) -> None:
    payload = await encrypted(ring, context=dataclasses.replace(HERE, workflow_id="sweep"))
    started = dataclasses.replace(HERE, workflow_id="sweep-2026-12-01T01:15:00Z")
    alike = dataclasses.replace(HERE, workflow_id="sweep-2026")

    assert (await decrypted(ring, payload, started)).data == SECRET.encode()
    assert "bound to" in await rejection(ring, payload, alike)


@pytest.mark.parametrize("known", ["", "payment-1"])
async def test_what_an_operator_entered_is_marked_and_good_for_no_activity(
    ring: KeyRing, known: str
) -> None:
    plain = Payload(metadata={"encoding": b"json/plain", "entered-at": b"9"}, data=b"1")
    [payload] = PayloadEncryption(ring).encode_for_operator([plain], "shop", known)

    entered = (await decrypted(ring, payload)).metadata["entered-at"]
    assert abs(int(entered) - time.time()) < 5
    for elsewhere in (QUERY, dataclasses.replace(HERE, namespace="other")):
        assert "bound to" in await rejection(ring, payload, elsewhere)
    other = await decrypted(ring, payload, dataclasses.replace(HERE, workflow_id="payment-2"))
    assert (other.metadata["encoding"] == REJECTED) is bool(known)


async def test_whatever_is_bound_is_shown_to_operators_unless_it_was_altered(
    ring: KeyRing,
) -> None:
    codec = PayloadEncryption(ring)
    payload = await encrypted(ring, context=QUERY)

    assert codec.decode_for_display([payload])[0].data == SECRET.encode()
    payload.data += b"x"
    with pytest.raises(PayloadDecryptionError, match="altered"):
        codec.decode_for_display([payload])


@given(data=st.binary(max_size=4096))
async def test_any_bytes_survive_the_round_trip(data: bytes) -> None:
    ring = KeyRing(newest="k", keys={"k": b"k" * 32})

    assert (await decrypted(ring, await encrypted(ring, data))).data == data


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


def test_an_older_key_stays_in_the_file_next_to_the_current_one() -> None:
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
def test_a_bad_key_file_is_rejected(text: str) -> None:
    with pytest.raises(KeyRingError):
        KeyRing.parse(text)


def test_a_ring_without_its_newest_key_is_rejected(ring: KeyRing) -> None:
    with pytest.raises(KeyRingError, match="k9"):
        dataclasses.replace(ring, newest="k9")


def test_keys_do_not_show_in_a_log(ring: KeyRing) -> None:
    assert "x01" not in repr(ring)
    assert "x01" not in str(ring)
