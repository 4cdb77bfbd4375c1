from itertools import pairwise

import pytest

from sandbox.alipay.side import AlipaySide
from sandbox.apple_iap.side import AppleIapSide
from sandbox.faults import CALL_OPERATIONS, NOTIFIER_KINDS, NOTIFY_KINDS, Fault
from sandbox.unionpay.side import UnionpaySide
from sandbox.wechatpay.side import WechatpaySide
from verification.chaos.drawing import ACCOUNTS, PRICES, REST_SECONDS, SERVICES, Weather, draw
from verification.chaos.plan import OF_STORES, Course, FloodKind, Plan

SIDES = {side.name: side for side in (AlipaySide, WechatpaySide, UnionpaySide, AppleIapSide)}
# Calls that no payment makes by itself.
ON_REQUEST = {
    *("order_lookup", "consumption", "test_notification", "finish", "token", "extend"),
    *("balance", "sync"),
}
# Correctly signed by a store, of something else than the payment is for: tests/api has them.
OF_ANOTHER_PURCHASE = {
    *("wrong_environment", "wrong_product", "quantity", "unknown_type"),
    *("missing_token", "foreign_token", "upper_case_token"),
}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return draw(Weather(500, seed=1))


def test_the_same_seed_draws_the_same_storm(plan: Plan) -> None:
    again = draw(Weather(500, seed=1))

    assert again == plan
    assert again.digest == plan.digest


@pytest.mark.parametrize(
    "other", [Weather(500, seed=2), Weather(501, seed=1), Weather(500, 1, kill_every=7)]
)
def test_another_seed_or_size_draws_another_storm(plan: Plan, other: Weather) -> None:
    assert draw(other).digest != plan.digest


def test_the_storm_has_as_many_payments_as_were_asked_for(plan: Plan) -> None:
    assert sum(len(trip.keys) for trip in plan.trips) in (500, 501)


def test_every_course_channel_and_account_comes_up(plan: Plan) -> None:
    # Whoever terminates a workflow takes the notification's place; storms of broken guards do.
    assert {trip.course for trip in plan.trips} == set(Course) - {Course.ABANDONED}
    assert len({(trip.provider, trip.channel) for trip in plan.trips}) == 17
    assert len({(trip.provider, trip.account) for trip in plan.trips}) == 10


def test_a_store_sells_at_its_own_price_and_alone_gives_money_back(plan: Plan) -> None:
    sold = [trip for trip in plan.trips if trip.course in OF_STORES]

    assert {trip.product for trip in sold} == set(PRICES)
    for trip in sold:
        assert (trip.provider, trip.channel, trip.refunds) == ("apple_iap", "iap", ())
        assert trip.amount == PRICES[str(trip.product)] * trip.quantity
    assert not any(trip.product for trip in plan.trips if trip.course not in OF_STORES)


def test_every_fault_is_one_that_the_sandbox_knows(plan: Plan) -> None:
    for trip in plan.trips:
        for fault in (*trip.faults, *(f for refund in trip.refunds for f in refund.faults)):
            scripted = Fault(provider=trip.provider, operation=fault.operation, kind=fault.kind)
            assert scripted.problem() is None
            side = SIDES[trip.provider]
            told = (*NOTIFIER_KINDS, *side.notify_faults)
            assert fault.kind in (told if fault.operation == "notify" else side.call_faults)
        assert set(trip.forgeries) <= set(SIDES[trip.provider].notify_faults)


def test_every_operation_and_every_false_notification_comes_up() -> None:
    plan = draw(Weather(2000, seed=1))
    words = [name.split() for name in plan.thrown]
    struck = {operation.rstrip(":") for _, operation, _ in words}
    told = {kind for _, operation, kind in words if operation in ("notify:", "forged:")}

    assert struck >= set(CALL_OPERATIONS) - ON_REQUEST
    assert told == set(NOTIFY_KINDS) - OF_ANOTHER_PURCHASE


def test_every_process_is_killed_and_then_left_to_recover(plan: Plan) -> None:
    assert {kill.service for kill in plan.kills} == set(SERVICES)
    for service in SERVICES:
        times = [kill.at for kill in plan.kills if kill.service == service]
        gaps = [later - sooner for sooner, later in pairwise(times)]
        assert all(gap >= REST_SECONDS - 0.01 for gap in gaps)


def test_strangers_floods_and_sweeps_are_part_of_it(plan: Plan) -> None:
    assert {trip.provider for trip in plan.trips if trip.strangers} == set(ACCOUNTS)
    assert {flood.kind for flood in plan.floods} == set(FloodKind)
    assert plan.sweep_every > 0
    assert plan.thrown["unionpay stranger: foreign_app"] > 10


def test_the_rate_is_bounded(plan: Plan) -> None:
    assert plan.trips[-1].at <= Weather(500, seed=1).seconds
    assert draw(Weather(500, 1, kill_every=0)).kills == ()
