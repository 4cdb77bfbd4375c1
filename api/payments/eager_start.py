"""Payments whose first steps run in this very process: Temporal's eager workflow start.

The server answers the start with the run's first task, for a worker of the same client. The run
records and submits right here, and its answer is received here: no poll, no update, no second round
trip (ADR 13). Wherever that way is not open, the update does the same from anywhere.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from uuid import UUID

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.worker import (
    Interceptor,
    Worker,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from api.workflow_calls import ANSWER, bounded, create_payment, rejection
from crypto.key_ring import KeyRing
from domain.payment import Payment
from engine import logs
from engine.builds import pinned
from engine.client import connect, measured
from engine.workers import eager_worker, open_activities
from settings import Settings
from storage.database import Database
from workflows.announcing import LISTENER, Answer, Listener
from workflows.payment import PaymentOrder, PaymentWorkflow
from workflows.policies import EAGER_QUEUE
from workflows.starting import payment_options

# A worker whose workflows announce their answers here.
MakeWorker = Callable[[Interceptor], Worker]

# Longer than the first call to a provider may take while the database answers quickly, and short
# enough to still send the update.
HEARD_SECONDS = 4.5
# Between attempts to run the worker while Temporal is away.
AGAIN_SECONDS = 1.0
_log = logging.getLogger(__name__)


class EagerStart:
    """Starts payments, in this process while its worker runs."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._expected: dict[UUID, asyncio.Future[Answer]] = {}

    async def create_payment(self, elsewhere: Client, order: PaymentOrder) -> Payment:
        """As `runs.create_payment`, whose client is `elsewhere`; raises as that does."""
        async with bounded():
            client, payment_id = self._client, order.payment.id
            logs.bind(payment_id=str(payment_id))
            # A second request with the same key must not take the first one's answer unchecked.
            if client is not None and payment_id not in self._expected:
                with self._expecting(payment_id) as answer:
                    if await _started_here(client, order):
                        # A task that failed is retried elsewhere: only the update has its answer.
                        with suppress(TimeoutError):
                            return _taken(await asyncio.wait_for(answer, HEARD_SECONDS))
            return await create_payment(elsewhere, order)

    @asynccontextmanager
    async def running(self, client: Client, make: MakeWorker) -> AsyncIterator[None]:
        """Run a worker of this client for what is started here, while the block runs."""
        async with make(_WithListener(asyncio.get_running_loop(), self._listener)):
            self._client = client
            try:
                yield
            finally:
                self._client = None

    @asynccontextmanager
    async def serving(
        self, settings: Settings, database: Database, keys: KeyRing
    ) -> AsyncIterator[None]:
        """The same whenever Temporal can be reached, while the block runs."""
        runtime = measured(settings.api_metrics_address)
        async with open_activities(settings, database) as (activities, _):
            # Not lazy: a worker wants a client that is connected.
            connecting = partial(connect, keys, runtime=runtime, build_id=settings.build_id)
            making = partial(eager_worker, activities, pinned(settings.build_id))
            carrying = asyncio.create_task(self._keep_running(connecting, making))
            try:
                yield
            finally:
                carrying.cancel()
                await asyncio.wait([carrying])

    async def _keep_running(
        self,
        connecting: Callable[[], Awaitable[Client]],
        making: Callable[[Client, Interceptor], Worker],
    ) -> None:
        while True:
            try:
                client = await connecting()
                async with self.running(client, partial(making, client)):
                    await asyncio.Event().wait()
            except Exception as error:  # noqa: BLE001 - whatever it is, there is the other way
                why = f"{type(error).__name__}: {error}"
                _log.warning("payments are executed by the workers alone for now: %s", why)
            await asyncio.sleep(AGAIN_SECONDS)

    @contextmanager
    def _expecting(self, payment_id: UUID) -> Iterator[asyncio.Future[Answer]]:
        waiting = self._expected[payment_id] = asyncio.get_running_loop().create_future()
        try:
            yield waiting
        finally:
            del self._expected[payment_id]

    def _listener(self, payment_id: UUID, answer: Answer) -> None:
        waiting = self._expected.get(payment_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)


class _WithListener(Interceptor):
    """Gives a worker's workflows a listener; they live in threads of their own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: Listener) -> None:
        self._loop, self._listener = loop, listener

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 - the SDK's name
    ) -> type[WorkflowInboundInterceptor] | None:
        """No interceptor of the run, but the function that it may call."""
        input.unsafe_extern_functions[LISTENER] = self._pass_on
        return None

    def _pass_on(self, payment_id: UUID, answer: Answer) -> None:
        self._loop.call_soon_threadsafe(self._listener, payment_id, answer)


async def _started_here(client: Client, order: PaymentOrder) -> bool:
    """Whether this very call started the run, and its first task came back with the answer."""
    options = payment_options(order)
    try:
        handle = await client.start_workflow(
            PaymentWorkflow.run,
            order,
            **options.arguments,
            task_queue=EAGER_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            request_eager_start=True,
            rpc_timeout=ANSWER,
        )
    except WorkflowAlreadyStartedError:
        return False
    # The SDK has no other sign of it. Where it is missing, the update asks for the answer.
    return bool(getattr(handle, "__temporal_eagerly_started", False))


def _taken(answer: Answer) -> Payment:
    if isinstance(answer, Payment):
        return answer
    raise rejection(answer)
