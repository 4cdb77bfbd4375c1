import pytest
from pydantic import ValidationError

from domain.payment import Channel
from providers.base import Asking
from workflows.policies import (
    PaymentPolicy,
    Policy,
    payment_policy,
    refund_policy,
    store_policy,
)


def test_a_providers_own_cadence_replaces_the_channels() -> None:
    asking = Asking(silence=1, first_wait=1, backoff=2, longest_wait=32)
    policy = payment_policy(Channel.BARCODE, asking, confirm=True)
    usual = payment_policy(Channel.BARCODE)
    assert (policy.grace, policy.confirm) == (1, True)
    waits = (policy.poll.first_wait, policy.poll.backoff, policy.poll.longest_wait)
    assert waits == (1, 2, 32)
    assert policy.poll.timeout == usual.poll.timeout
    assert policy.close == usual.close


def test_a_provider_without_rules_of_its_own_changes_nothing() -> None:
    usual = payment_policy(Channel.QR)
    assert (usual.confirm, usual.grace, usual.poll.first_wait) == (False, 20, 10)


def test_a_run_that_started_before_the_rule_existed_goes_on_without_it() -> None:
    recorded = payment_policy(Channel.QR).model_dump(mode="json")
    del recorded["confirm"]
    assert not PaymentPolicy.model_validate(recorded).confirm


@pytest.mark.parametrize("policy", [payment_policy(Channel.QR), refund_policy(), store_policy()])
def test_a_run_of_a_newer_release_is_left_to_workers_that_know_its_steps(policy: Policy) -> None:
    newer = policy.model_dump(mode="json")
    deeper = newer | {"webhook": newer["webhook"] | {"tomorrow": 1}}

    for found in (newer | {"a_step_of_tomorrow": True}, deeper):
        with pytest.raises(ValidationError):
            type(policy).model_validate(found)
