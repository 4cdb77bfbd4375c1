import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from api.payments import eager_start
from api.payments.eager_start import EagerStart
from domain.identity import payment_workflow_id
from tests.api.house import House, ProviderSide, Shop, order
from workflows.announcing import Answer
from workflows.payment import PaymentOrder
from workflows.policies import EAGER_QUEUE, TASK_QUEUE


async def history(house: House, payment_id: str) -> tuple[str, list[int]]:
    """The queue of the payment's run, and the types of its events."""
    handle = house.dependencies.temporal.get_workflow_handle(payment_workflow_id(UUID(payment_id)))
    events = (await handle.fetch_history()).events
    queue = events[0].workflow_execution_started_event_attributes.task_queue.name
    return queue, [event.event_type for event in events]


async def test_a_payment_is_carried_by_the_process_that_started_it(
    house: House, shop: Shop
) -> None:
    made = await shop.create(order())
    assert made.status_code == 201
    queue, events = await history(house, made.json()["id"])
    assert queue == EAGER_QUEUE
    assert EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED not in events


async def test_without_a_worker_in_this_process_the_others_carry_it(
    house: House, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.dependencies.eager, "_client", None)
    made = await shop.create(order())
    assert made.status_code == 201
    queue, events = await history(house, made.json()["id"])
    assert queue == TASK_QUEUE
    assert EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED in events


async def test_a_run_that_is_not_handed_back_is_asked_for_its_answer(
    house: House, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = eager_start._started_here  # noqa: SLF001

    async def started_elsewhere(client: Client, wanted: PaymentOrder) -> bool:
        await honest(client, wanted)
        return False

    monkeypatch.setattr(eager_start, "_started_here", started_elsewhere)
    made = await shop.create(order())
    assert made.status_code == 201
    assert made.json()["checkout"]


async def test_an_answer_that_is_not_heard_here_is_asked_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def unheard(*_: object) -> Iterator[asyncio.Future[Answer]]:
        yield asyncio.get_running_loop().create_future()

    monkeypatch.setattr(eager_start, "HEARD_SECONDS", 0.05)
    monkeypatch.setattr(EagerStart, "_expecting", unheard)
    made = await shop.create(order())
    assert made.status_code == 201
    assert made.json()["checkout"]


async def test_parallel_requests_with_one_key_make_one_payment(
    shop: Shop, provider: ProviderSide
) -> None:
    body = order()
    answers = await asyncio.gather(*(shop.create(body, "one") for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    [made] = {answer.json()["checkout"]["value"] for answer in answers}
    assert made


async def test_another_request_in_parallel_with_the_same_key_is_refused(shop: Shop) -> None:
    body = order()
    answers = await asyncio.gather(shop.create(body, "k"), shop.create(body | {"amount": 1}, "k"))
    assert sorted(answer.status_code for answer in answers) == [201, 409]


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    start, answer = EagerStart(), ApplicationError("no", type="order_already_paid")
    with start._expecting(UUID(int=1)) as waiting:  # noqa: SLF001
        waiting.cancel()
        start._listener(UUID(int=1), answer)  # noqa: SLF001
        start._listener(UUID(int=2), answer)  # noqa: SLF001
    assert waiting.cancelled()


async def test_a_start_that_temporal_does_not_take_says_try_again(
    house: House, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> bool:
        raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")

    monkeypatch.setattr("api.payments.eager_start._started_here", away)
    answer = await shop.create(order())
    assert (answer.status_code, answer.json()["code"]) == (503, "temporal_unavailable")
