from itertools import pairwise

import pytest

from sandbox.alipay.side import AlipaySide
from sandbox.apple_iap.side import AppleIapSide
from sandbox.faults import CALL_OPERATIONS, NOTIFIER_KINDS, NOTIFY_KINDS, Fault
from sandbox.unionpay.side import UnionpaySide
from sandbox.wechatpay.side import WechatpaySide
from verification.chaos.cases import CASES, STORES
from verification.chaos.generate import REST_SECONDS, SERVICES, Settings, generate
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
    return generate(Settings(500, seed=1))


def test_the_same_seed_gives_the_same_plan(plan: Plan) -> None:
    again = generate(Settings(500, seed=1))

    assert again == plan
    assert again.digest == plan.digest


@pytest.mark.parametrize(
    "other", [Settings(500, seed=2), Settings(501, seed=1), Settings(500, 1, kill_every=7)]
)
def test_another_seed_or_size_gives_another_plan(plan: Plan, other: Settings) -> None:
    assert generate(other).digest != plan.digest


def test_the_plan_has_the_requested_number_of_payments(plan: Plan) -> None:
    assert sum(len(order.keys) for order in plan.orders) in (500, 501)


def test_every_course_channel_and_account_comes_up(plan: Plan) -> None:
    # Whoever terminates a workflow takes the notification's place; plans of broken guards do.
    assert {order.course for order in plan.orders} == set(Course) - {Course.ABANDONED}
    assert len({(order.provider, order.channel) for order in plan.orders}) == 17
    assert len({(order.provider, order.account) for order in plan.orders}) == 10


def test_a_store_sells_at_its_own_price_and_alone_gives_money_back(plan: Plan) -> None:
    sold = [order for order in plan.orders if order.course in OF_STORES]

    assert {order.product for order in sold} == {
        product for store in STORES for product in CASES[store].sells
    }
    for order in sold:
        assert (order.provider, order.channel, order.refunds) == ("apple_iap", "iap", ())
        assert order.amount == CASES[order.provider].sells[str(order.product)] * order.quantity
    assert not any(order.product for order in plan.orders if order.course not in OF_STORES)


def test_every_fault_is_one_that_the_sandbox_knows(plan: Plan) -> None:
    for order in plan.orders:
        for fault in (*order.faults, *(f for refund in order.refunds for f in refund.faults)):
            scripted = Fault(provider=order.provider, operation=fault.operation, kind=fault.kind)
            assert scripted.problem() is None
            side = SIDES[order.provider]
            told = (*NOTIFIER_KINDS, *side.notify_faults)
            assert fault.kind in (told if fault.operation == "notify" else side.call_faults)
        assert set(order.forgeries) <= set(SIDES[order.provider].notify_faults)


def test_every_operation_and_every_false_notification_comes_up() -> None:
    plan = generate(Settings(2000, seed=1))
    words = [name.split() for name in plan.planned_faults]
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
    assert {order.provider for order in plan.orders if order.strangers} == set(CASES)
    assert {flood.kind for flood in plan.floods} == set(FloodKind)
    assert plan.sweep_every > 0
    assert plan.planned_faults["unionpay stranger: foreign_app"] > 10


def test_the_rate_is_bounded(plan: Plan) -> None:
    assert plan.orders[-1].at <= Settings(500, seed=1).seconds
    assert generate(Settings(500, 1, kill_every=0)).kills == ()
