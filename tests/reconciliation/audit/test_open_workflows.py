from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.payment import PaymentStatus
from domain.refund import RefundStatus
from reconciliation.audit.finding import Promise
from reconciliation.audit.records import Attempt, OpenWorkflow
from tests.reconciliation.audit.conftest import Ledger


def test_a_workflow_with_nothing_to_wait_for_is_named(ledger: Ledger) -> None:
    ledger.workflows = [OpenWorkflow(f"payment-{ledger.payment.reference}")]
    assert ledger.promises() == [Promise.RUN_WITHOUT_WORK]

    ledger.workflows = [OpenWorkflow(f"late-{ledger.payment.reference}")]
    assert ledger.promises() == [Promise.RUN_WITHOUT_WORK]


def test_a_refunds_workflow_with_nothing_to_wait_for_is_named(ledger: Ledger) -> None:
    refund = ledger.refund(100)
    ledger.workflows = [OpenWorkflow(f"refund-{refund.reference}")]

    assert ledger.promises() == [Promise.RUN_WITHOUT_WORK]


def test_a_workflow_that_queries_or_sends_has_work(ledger: Ledger) -> None:
    ledger.workflows = [OpenWorkflow(f"late-{ledger.payment.reference}", busy=True)]

    assert ledger.found() == []


def test_a_workflow_may_watch_a_closed_payment_until_it_cannot_be_paid(ledger: Ledger) -> None:
    ledger.closed()
    ledger.workflows = [OpenWorkflow(f"payment-{ledger.payment.reference}")]
    ledger.bend(expires_at=datetime.now(UTC) + timedelta(minutes=1))
    assert ledger.promises() == []

    ledger.bend(expires_at=datetime.now(UTC) - timedelta(minutes=1))
    assert ledger.promises() == [Promise.RUN_WITHOUT_WORK]


def test_the_watch_goes_on_where_another_workflow_has_settled_the_money(ledger: Ledger) -> None:
    ledger.workflows = [OpenWorkflow(f"payment-{ledger.payment.reference}")]
    ledger.bend(expires_at=datetime.now(UTC) + timedelta(minutes=1))
    assert ledger.promises() == [Promise.RUN_WITHOUT_WORK]

    ledger.bend(late=True)
    assert Promise.RUN_WITHOUT_WORK not in ledger.promises()


def test_a_workflow_of_a_record_that_we_never_wrote_down_is_named(ledger: Ledger) -> None:
    ledger.workflows = [OpenWorkflow(f"payment-{uuid4().hex}")]
    assert ledger.promises() == [Promise.RUN_WITHOUT_WORK]

    ledger.workflows = [OpenWorkflow("somebody-elses")]
    assert ledger.promises() == []


def test_a_stores_workflow_belongs_to_the_payment_that_its_chain_was_granted_to(
    ledger: Ledger,
) -> None:
    chain = ledger.sold_by_store()
    ledger.workflows = [OpenWorkflow(chain.workflow_id, busy=True)]
    assert ledger.promises() == []

    ledger.workflows = [OpenWorkflow(chain.workflow_id)]
    assert ledger.promises() == [Promise.RUN_WITHOUT_WORK]
    assert ledger.found()[0].payment == ledger.payment.reference


def test_a_stores_workflow_of_a_chain_that_was_never_granted_is_named(ledger: Ledger) -> None:
    ledger.sold_by_store()
    ledger.workflows = [OpenWorkflow("store-apple_iap-main-2000000000000002")]
    assert ledger.promises() == [Promise.RUN_WITHOUT_WORK]


def test_a_workflow_that_cannot_go_on_is_named(ledger: Ledger) -> None:
    stuck = OpenWorkflow(f"payment-{ledger.payment.reference}", busy=True, stuck="failed 1 times")
    ledger.workflows = [stuck]

    assert ledger.promises() == [Promise.STUCK_RUN]


def test_a_pending_refund_without_a_workflow_is_named(ledger: Ledger) -> None:
    ledger.refund(100, RefundStatus.PENDING)
    ledger.workflows = []

    assert ledger.promises() == [Promise.ROW_WITHOUT_RUN]


def test_a_pending_payment_without_a_workflow_is_named(ledger: Ledger) -> None:
    ledger.closed()
    ledger.bend(status=PaymentStatus.PENDING)
    ledger.events, ledger.inbox = [], []

    assert ledger.promises() == [Promise.ROW_WITHOUT_RUN]


@pytest.mark.parametrize(
    "fault",
    ["tamper_body", "foreign_key", "signtest", "wrong_amount", "wrong_cn", "alg_hs256"],
)
def test_a_forgery_that_was_acknowledged_is_named(ledger: Ledger, fault: str) -> None:
    name = ledger.payment.reference
    ledger.attempts = [Attempt("alipay", name, fault, accepted=False)]
    assert ledger.promises() == []

    ledger.attempts = [Attempt("alipay", name, fault, accepted=True)]
    assert ledger.promises() == [Promise.FORGERY_BELIEVED]


def test_only_wechat_pays_notifications_age(ledger: Ledger) -> None:
    name = ledger.payment.reference
    ledger.attempts = [Attempt("alipay", name, "stale", accepted=True)]
    assert ledger.promises() == []

    ledger.attempts = [Attempt("wechatpay", name, "stale", accepted=True)]
    assert ledger.promises() == [Promise.FORGERY_BELIEVED]


def test_another_amount_in_the_news_of_an_unpaid_order_changes_nothing(ledger: Ledger) -> None:
    ledger.closed()
    ledger.attempts = [Attempt("alipay", ledger.payment.reference, "wrong_amount", accepted=True)]

    assert ledger.promises() == []
