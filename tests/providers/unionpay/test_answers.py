from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from domain.errors import OutcomeUnknown, ProviderRejected, ProviderUnavailable
from domain.payment import Channel
from domain.report import Outcome
from providers.unionpay import signing
from providers.unionpay.provider import UnionpayProvider
from tests.providers.unionpay.conftest import Order
from tests.providers.unionpay.gateway import PAID, FakeGateway


@pytest.mark.parametrize(
    "changed",
    [{"orderId": "other"}, {"txnTime": "20260301120507"}, {"merId": "777290058110097"}],
)
async def test_an_answer_about_another_transaction_is_not_believed(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, changed: dict[str, str]
) -> None:
    gateway.then(PAID | changed)
    with pytest.raises(OutcomeUnknown, match="about another"):
        await provider.query(payment())


async def test_a_success_that_does_not_say_what_it_is_about_is_not_believed(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    gateway.then(PAID | {"orderId": ""}, {"respCode": "10", "orderId": "", "txnTime": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.query(payment())
    with pytest.raises(ProviderRejected):
        await provider.create(payment())


@pytest.mark.parametrize("method", ["11", "12", "02"])
async def test_an_answer_by_another_method_is_not_believed(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, method: str
) -> None:
    gateway.then(PAID | {"signMethod": method})
    with pytest.raises(OutcomeUnknown, match="another method"):
        await provider.query(payment())


@pytest.mark.parametrize("code", [301, 404, 500, 502])
async def test_another_status_than_200_is_no_answer(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, code: int
) -> None:
    gateway.then_raw(gateway.answer(PAID), code)
    with pytest.raises(OutcomeUnknown, match=str(code)):
        await provider.query(payment())


async def test_keyed_methods_reject_an_answer_with_a_wrong_digest(
    account: dict[str, Any], gateway: FakeGateway, payment: Order
) -> None:
    keyed = {key: account[key] for key in ("name", "base_url", "mer_id")}
    provider = gateway.provider(keyed | {"sign_method": "11", "secure_key": "88888888"})
    gateway.then(PAID | {"signMethod": "11"})
    with pytest.raises(OutcomeUnknown, match="digest"):
        await provider.query(payment())
    assert "certId" not in gateway.calls[0][1]
    assert len(gateway.calls[0][1]["signature"]) == 64


async def test_keyed_methods_believe_an_answer_with_the_right_digest(
    account: dict[str, Any], gateway: FakeGateway, payment: Order
) -> None:
    keyed = {key: account[key] for key in ("name", "base_url", "mer_id")}
    provider = gateway.provider(keyed | {"sign_method": "12", "secure_key": "88888888"})

    def answer(request: httpx.Request) -> httpx.Response:
        asked = dict(parse_qsl(request.content.decode()))
        fields = {key: asked[key] for key in ("merId", "orderId", "txnTime", "signMethod")} | PAID
        digest = signing.keyed_digest("12", "88888888", fields)
        pairs = fields | {"signature": digest}
        return httpx.Response(200, content="&".join(f"{k}={v}" for k, v in pairs.items()).encode())

    gateway.then(answer)
    assert (await provider.query(payment())).outcome is Outcome.PAID


async def test_a_scanned_code_whose_payer_must_confirm_is_pending(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    gateway.then({"respCode": "05"})
    created = await provider.create(payment(Channel.BARCODE))
    assert created.report is not None
    assert (created.report.outcome, created.report.raw_status) == (Outcome.PENDING, "05")
    assert len(gateway.calls) == 1


async def test_a_lost_answer_leaves_the_outcome_unknown(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    def lose(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("lost")

    gateway.then(lose)
    with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
        await provider.create(payment())


async def test_a_gateway_that_cannot_be_reached_did_nothing(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("late")

    gateway.then(refuse)
    with pytest.raises(ProviderUnavailable):
        await provider.create(payment())
