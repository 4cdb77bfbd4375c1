from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identity import (
    IdentityKey,
    IdentityKeyError,
    automatic_refund_id,
    event_id,
    late_workflow_id,
    new_identity_key,
    parse_reference,
    payment_workflow_id,
    refund_workflow_id,
)
from tests.domain.making import IDENTITY, PAYMENT_ID


def test_the_same_request_is_the_same_payment_for_ever() -> None:
    # Written out: a change of the form would give old requests new payments.
    assert IDENTITY.payment_id("m-1", "A-1") == UUID("fe2af93a-622a-88c6-a746-cea772a4b643")


def test_who_has_another_key_computes_other_ids_and_hashes() -> None:
    stranger = IdentityKey.parse(new_identity_key())
    assert stranger.payment_id("m-1", "A-1") != IDENTITY.payment_id("m-1", "A-1")
    assert stranger.refund_id(PAYMENT_ID, "r-1") != IDENTITY.refund_id(PAYMENT_ID, "r-1")
    assert stranger.request_hash("{}") != IDENTITY.request_hash("{}")
    assert stranger.fingerprint != IDENTITY.fingerprint


def test_an_id_is_a_uuid_of_the_version_that_is_ours_to_define() -> None:
    made = IDENTITY.payment_id("m-1", "A-1")
    assert (made.version, made.variant) == (8, RFC_4122)


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "A" * 44])
def test_a_bad_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(IdentityKeyError) as refused:
        IdentityKey.parse(text)
    assert not text or text not in str(refused.value)


def test_a_key_is_not_shown() -> None:
    assert str(IDENTITY.secret) not in repr(IDENTITY)


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_other_requests_are_other_payments(one: tuple[str, str], two: tuple[str, str]) -> None:
    separated = "\x1f" not in "".join(one + two)
    assert not separated or (IDENTITY.payment_id(*one) == IDENTITY.payment_id(*two)) == (one == two)


def test_one_key_means_another_thing_for_payment_refund_and_event() -> None:
    made = IDENTITY.payment_id("m", "k")
    ids = {
        made,
        IDENTITY.refund_id(made, "k"),
        automatic_refund_id(made, "k"),
        event_id(made, "k"),
    }
    assert len(ids) == 4


@given(st.uuids())
def test_a_reference_leads_back_to_its_id(made: UUID) -> None:
    assert parse_reference(made.hex) == made


@pytest.mark.parametrize(
    "foreign",
    ["", "A-1", "g" * 32, "0" * 31, "0" * 33, "０" * 32, str(PAYMENT_ID), "{" + "0" * 30 + "}"],
)
def test_what_was_never_ours_is_no_reference(foreign: str) -> None:
    assert parse_reference(foreign) is None


def test_workflow_ids_name_their_kind() -> None:
    assert payment_workflow_id(PAYMENT_ID) == f"payment-{PAYMENT_ID.hex}"
    assert refund_workflow_id(PAYMENT_ID) == f"refund-{PAYMENT_ID.hex}"
    assert late_workflow_id(PAYMENT_ID) == f"late-{PAYMENT_ID.hex}"
