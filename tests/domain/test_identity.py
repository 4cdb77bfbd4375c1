from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identity import (
    event_id,
    late_workflow_id,
    parse_reference,
    payment_id,
    payment_workflow_id,
    refund_id,
    refund_workflow_id,
)
from tests.domain.making import PAYMENT_ID


def test_the_same_request_is_the_same_payment_for_ever() -> None:
    # Written out: a change of the namespace or the form would give old requests new payments.
    assert payment_id("m-1", "A-1") == UUID("27a4749e-d165-55d8-9600-7bf988144cdc")


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_other_requests_are_other_payments(one: tuple[str, str], two: tuple[str, str]) -> None:
    separated = "\x1f" not in "".join(one + two)
    assert not separated or (payment_id(*one) == payment_id(*two)) == (one == two)


def test_one_key_means_another_thing_for_payment_refund_and_event() -> None:
    ids = {
        payment_id("m", "k"),
        refund_id(payment_id("m", "k"), "k"),
        event_id(payment_id("m", "k"), "k"),
    }
    assert len(ids) == 3


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
