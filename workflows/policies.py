"""Every timeout, retry and poll curve, named once with its reason.

A policy is built by whoever starts a workflow and travels in its input: it is recorded with the
run, so that a deploy never changes a payment that is already under way.
"""

from collections.abc import Iterable
from datetime import timedelta

from pydantic import ConfigDict
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig, LocalActivityConfig

from domain.frozen import Frozen
from domain.payment import Channel
from providers.base import Asking, ChannelRules

TASK_QUEUE = "payments"
# Runs that an API process starts and carries itself; workers poll it too, and go on where such a
# process has died.
EAGER_QUEUE = "payments-eager"
RUN_QUEUES = (TASK_QUEUE, EAGER_QUEUE)
# Apart from the providers' calls: a merchant that answers slowly must not hold up payments.
WEBHOOK_QUEUE = "webhooks"
# Apart from payments, which must go on where the sweep has much to do.
SWEEP_QUEUE = "sweep"


def provider_queue(provider: str) -> str:
    """The queue of calls to one provider: rate limits and outages stay its own."""
    return f"provider-{provider}"


def worker_queues(providers: Iterable[str]) -> list[str]:
    """Every queue that a worker process polls."""
    return [*RUN_QUEUES, WEBHOOK_QUEUE, *map(provider_queue, providers)]


class _Steps(Frozen):
    """How a run takes its steps.

    One that says more than this release knows is refused: the run's task waits for a worker that
    knows it. To take the steps of an older release instead would be to leave a history that no
    newer one can go on with.
    """

    model_config = ConfigDict(extra="forbid")


class Attempts(_Steps):
    """How often and how long one step is tried; all times in seconds.

    `timeout` bounds one attempt, `total` all of them together (None: no bound), `attempts` their
    number (0: no bound). Waits between attempts grow from `first_wait` by `backoff` to
    `longest_wait`.
    """

    timeout: float
    total: float | None = None
    attempts: int = 0
    first_wait: float = 1.0
    backoff: float = 2.0
    longest_wait: float = 60.0

    def activity(
        self, summary: str, *, queue: str | None = None, total: float | None = None
    ) -> ActivityConfig:
        """For a step on a task queue (None: the workflow's own); `total` replaces the policy's."""
        bound = self.total if total is None else total
        return ActivityConfig(
            task_queue=queue,
            summary=summary,
            start_to_close_timeout=timedelta(seconds=self.timeout),
            schedule_to_close_timeout=None if bound is None else timedelta(seconds=bound),
            retry_policy=self._retries(),
        )

    def local(self, summary: str) -> LocalActivityConfig:
        """For a step inside the workflow task: as a rule it ends well within its ten seconds."""
        return LocalActivityConfig(
            summary=summary,
            start_to_close_timeout=timedelta(seconds=self.timeout),
            schedule_to_close_timeout=timedelta(seconds=self.total or self.timeout),
            retry_policy=self._retries(),
        )

    def _retries(self) -> RetryPolicy:
        return RetryPolicy(
            initial_interval=timedelta(seconds=self.first_wait),
            backoff_coefficient=self.backoff,
            maximum_interval=timedelta(seconds=self.longest_wait),
            maximum_attempts=self.attempts,
        )


def once(*steps: Attempts) -> Attempts:
    """One try of several steps, one after the other, in the time of one try of each."""
    seconds = sum(step.timeout for step in steps)
    return Attempts(timeout=seconds, total=seconds, attempts=1)


# A database write inside the workflow task: three quick tries cover a dropped connection.
LEDGER_FAST = Attempts(timeout=2.5, total=6, attempts=3, first_wait=0.2)
# The database is down: the payment waits for it, however long that takes.
LEDGER_SLOW = Attempts(timeout=15, first_wait=1, longest_wait=30)
# The provider's first answer inside the workflow task. One try: whatever goes wrong is unknown,
# and the slow path asks before it sends again.
CALL_FAST = Attempts(timeout=3.5, total=3.5, attempts=1)
# One attempt asks, sends and may ask again: three calls of the HTTP client's ten seconds, so that
# the client gives up first and says why.
CALL_SLOW = Attempts(timeout=35, first_wait=1, longest_wait=60)
# Closing repeats until the provider says what became of the order: the money may have moved.
CLOSE = Attempts(timeout=45, first_wait=2, longest_wait=300)
# A merchant's endpoint may be down over a weekend; about three days, then the event is given up
# and still listed by GET /v1/events.
WEBHOOK = Attempts(timeout=20, total=3 * 24 * 3600, first_wait=5, backoff=2.5, longest_wait=3600)
# Inside the workflow task, once: most endpoints answer at once, and the run can end in that task.
# The first slow one keeps its task alive by heartbeats; after that it is told through the queue.
WEBHOOK_FAST = Attempts(timeout=20, total=20, attempts=1)
# The event before this one has not arrived: look again, at most as long as that one is tried.
TURN = Attempts(timeout=15, first_wait=2, backoff=1.5, longest_wait=60)
# A store's word may be faster than the payment that it is about: the word waits for the money to be
# written down, for as long as a person may need to decide about it, then a person is called.
STORE_LEDGER = Attempts(timeout=15, total=7 * 24 * 3600, first_wait=1, longest_wait=600)
# As long as the outcome of a submission may stay unknown.
STORE_ALARM = 3600.0
# A refund may take a bank days: query fast at first, then hourly, until it is final.
REFUND_POLL = Attempts(timeout=35, first_wait=5, backoff=2, longest_wait=3600)
# Between queries about a signed notification that a query does not confirm, in seconds.
CONFIRMATION_WAITS = (2.0, 10.0, 60.0, 300.0)


class PaymentPolicy(_Steps):
    """How one payment is carried. `grace` and `alarm_after` are seconds.

    `grace` is how long a provider may stay silent before it is asked; `alarm_after` how long the
    truth may stay unknown before a person is told; `in_flight` how long a submission that was
    given up may still take effect at the provider; `confirmation_waits` come between questions
    where a signed late notification is not confirmed yet (replicas lag by seconds, an outage by
    minutes); `confirm` is set where the provider's notification is believed only after a query, and
    `confirm_fast` where that is asked inside the workflow task first;
    `fast_path` is set where the order is written down and submitted by one step, and its end
    written down and told by one;
    `closable` is false where only its time ends an order, `refundable` where only the provider
    itself gives money back.
    """

    grace: float
    poll: Attempts
    alarm_after: float = 3600
    confirm: bool = False
    confirm_fast: Attempts | None = None
    closable: bool = True
    refundable: bool = True
    in_flight: float = 60
    confirmation_waits: tuple[float, ...] = CONFIRMATION_WAITS
    ledger_fast: Attempts = LEDGER_FAST
    ledger_slow: Attempts = LEDGER_SLOW
    call_fast: Attempts = CALL_FAST
    call_slow: Attempts = CALL_SLOW
    close: Attempts = CLOSE
    webhook: Attempts = WEBHOOK
    webhook_fast: Attempts | None = None
    fast_path: bool = False
    turn: Attempts = TURN


class RefundPolicy(_Steps):
    """How one refund is carried. `grace` and `alarm_after` are seconds.

    `grace` passes before the provider is queried; `alarm_after` is how long a submission may stay
    unanswered, or the money of an automatic refund be held by others, before an operator is
    called; `final_within` how long the provider may report the refund as pending before that (None:
    refunds of releases that set no limit); `confirmation_waits` come between queries about a
    notification that contradicts the end (replicas lag by seconds, an outage by minutes).
    """

    grace: float = 10
    alarm_after: float = 3600
    final_within: float | None = None
    confirmation_waits: tuple[float, ...] = CONFIRMATION_WAITS
    poll: Attempts = REFUND_POLL
    ledger_fast: Attempts = LEDGER_FAST
    ledger_slow: Attempts = LEDGER_SLOW
    call_fast: Attempts = CALL_FAST
    call_slow: Attempts = CALL_SLOW
    webhook: Attempts = WEBHOOK
    webhook_fast: Attempts | None = None
    turn: Attempts = TURN


class StorePolicy(_Steps):
    """How a store's reports of changes are applied.

    `alarm_after` is how many seconds a change may wait for its payment before an operator is called
    (None: changes of releases that set no limit); it waits on until `ledger_slow` ends.
    """

    alarm_after: float | None = None
    ledger_fast: Attempts = LEDGER_FAST
    ledger_slow: Attempts = STORE_LEDGER
    webhook: Attempts = WEBHOOK
    webhook_fast: Attempts | None = None
    turn: Attempts = TURN


Policy = PaymentPolicy | RefundPolicy | StorePolicy

# The payer still has to scan, log in and type a password: asking earlier finds nothing, and most
# payments are notified within seconds of being paid.
_PAYER_ACTS = PaymentPolicy(
    grace=20, poll=Attempts(timeout=15, first_wait=10, backoff=1.5, longest_wait=60)
)
# The payer stands at the till with a code on the screen; Alipay and WeChat Pay advise a query every
# three to five seconds and an end after some forty-five.
_AT_THE_TILL = PaymentPolicy(
    grace=3, poll=Attempts(timeout=15, first_wait=3, backoff=1.2, longest_wait=5)
)

_BY_CHANNEL: dict[Channel, PaymentPolicy] = {Channel.BARCODE: _AT_THE_TILL}


def payment_policy(
    channel: Channel,
    asking: Asking | None = None,
    *,
    confirm: bool = False,
    closable: bool = True,
    refundable: bool = True,
) -> PaymentPolicy:
    """The policy of a payment that starts now.

    `asking` is the provider's own cadence of questions, `confirm` its rule of proof,
    `closable` whether an order can be ended before its time, `refundable` whether we can give
    the money back.
    """
    policy = _BY_CHANNEL.get(channel, _PAYER_ACTS)
    update: dict[str, object] = {
        "webhook_fast": WEBHOOK_FAST,
        "fast_path": True,
        "confirm": confirm,
        "confirm_fast": CALL_FAST if confirm else None,
        "closable": closable,
        "refundable": refundable,
    }
    if asking is not None:
        update["grace"] = asking.silence
        update["poll"] = policy.poll.model_copy(
            update={
                "first_wait": asking.first_wait,
                "backoff": asking.backoff,
                "longest_wait": asking.longest_wait,
            }
        )
    return policy.model_copy(update=update)


def refund_policy(rules: ChannelRules | None = None) -> RefundPolicy:
    """Return the policy of a refund that starts now, by its payment's channel (None: any)."""
    final_within = (rules or ChannelRules()).refund_final_within.total_seconds()
    return RefundPolicy(webhook_fast=WEBHOOK_FAST, final_within=final_within)


def store_policy() -> StorePolicy:
    """Return the policy of a workflow that applies a store's changes."""
    return StorePolicy(alarm_after=STORE_ALARM)
