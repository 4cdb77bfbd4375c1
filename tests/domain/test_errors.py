import pytest

from domain import errors
from domain.errors import OutcomeUnknown, PaymentError, ProviderError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, PaymentError)
]


def test_every_kind_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in KINDS]

    assert len(codes) == len(set(codes)) == 13


def test_an_error_can_be_more_precise_without_changing_its_kind() -> None:
    error = errors.Conflict("no", code="order_already_paid", param="order_no")

    assert (error.code, error.param, str(error)) == ("order_already_paid", "order_no", "no")
    assert errors.Conflict("no").code == "conflict"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, ProviderError)])
def test_a_providers_error_carries_its_words(kind: type[ProviderError]) -> None:
    error = kind("message", provider="p", provider_code="C", provider_message="m", retry_after=2.5)

    assert (error.provider, error.provider_code, error.provider_message) == ("p", "C", "m")
    assert error.retry_after == 2.5
    assert isinstance(OutcomeUnknown("?", provider="p"), ProviderError)
