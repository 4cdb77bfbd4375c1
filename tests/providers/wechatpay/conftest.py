import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.payment import Channel, Payer, Payment
from domain.refund import Refund
from providers.wechatpay.provider import WechatpayProvider, build
from tests.providers.wechatpay import wechat as side
from tests.providers.wechatpay.wechat import FakeWechat, Key, TurnableClock

VECTORS = Path(__file__).parents[4] / "shared" / "vectors"
NOTIFY_URL = "https://pay.example.com/notify/wechatpay/main"

Build = Callable[..., WechatpayProvider]


@pytest.fixture(scope="session")
def vectors() -> dict[str, dict[str, Any]]:
    """Published vectors by id; entries that name a file get its text as `*_pem`."""
    if not VECTORS.is_dir():
        pytest.skip("the published vectors are not on this machine")
    entries: list[dict[str, Any]] = json.loads((VECTORS / "wechat_v3.json").read_text())
    for entry in entries:
        for name in [key for key in entry if key.endswith("_file")]:
            entry[name.removesuffix("_file") + "_pem"] = (VECTORS / entry[name]).read_text()
    return {entry["id"]: entry for entry in entries}


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture
def public_key() -> Key:
    return Key(side.PUBLIC_KEY_ID, side.rsa_key("public"))


@pytest.fixture
def old_certificate() -> Key:
    return side.certificate("old", "0A11111111111111111111111111111111111111")


@pytest.fixture
def new_certificate() -> Key:
    return side.certificate("new", "5B22222222222222222222222222222222222222")


@pytest.fixture
def account() -> dict[str, Any]:
    """A public key account as `Settings.read_accounts` hands it over."""
    return {
        "name": "main",
        "mchid": side.MCHID,
        "appid": side.APPID,
        "api_v3_key": side.API_V3_KEY + "\n",
        "merchant_serial": side.MERCHANT_SERIAL,
        "merchant_private_key": side.private_pem("merchant"),
        "public_key_id": side.PUBLIC_KEY_ID,
        "public_key": side.public_pem("public"),
    }


@pytest.fixture
def certificate_account(account: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in account.items() if not key.startswith("public_key")}
    return kept | {"platform_certificates": True}


@pytest.fixture
def wechat(clock: TurnableClock, public_key: Key, old_certificate: Key) -> FakeWechat:
    return FakeWechat(clock, signer=public_key, certificates=[old_certificate])


@pytest.fixture
async def http(wechat: FakeWechat) -> AsyncIterator[httpx.AsyncClient]:
    async with wechat.http() as client:
        yield client


@pytest.fixture
def build_provider(http: httpx.AsyncClient, clock: TurnableClock) -> Build:
    def make(account: dict[str, Any]) -> WechatpayProvider:
        return build(account, http=http, clock=clock, notify_url=NOTIFY_URL)

    return make


@pytest.fixture
def provider(build_provider: Build, account: dict[str, Any]) -> WechatpayProvider:
    """A public key account's provider."""
    return build_provider(account)


@pytest.fixture
def certificate_provider(
    build_provider: Build,
    certificate_account: dict[str, Any],
    wechat: FakeWechat,
    old_certificate: Key,
) -> WechatpayProvider:
    """A platform certificate account's provider; WeChat Pay signs with the old certificate."""
    wechat.signer = old_certificate
    return build_provider(certificate_account)


@pytest.fixture
def make_payment(clock: TurnableClock) -> Callable[..., Payment]:
    def make(channel: Channel = Channel.QR, **fields: Any) -> Payment:
        payer = Payer(
            open_id="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
            auth_code="130000000000000000",
            client_ip="203.0.113.7",
        )
        values: dict[str, Any] = {
            "id": UUID("0123456789abcdef0123456789abcdef"),
            "merchant_id": "m1",
            "order_no": "A-1",
            "idempotency_key": "A-1",
            "request_hash": "h",
            "provider": "wechatpay",
            "account": "main",
            "channel": channel,
            "amount": 1999,
            "subject": "一杯咖啡",
            "payer": payer,
            "created_at": clock.now,
            "expires_at": clock.now + timedelta(minutes=15),
        }
        return Payment(**values | fields)

    return make


@pytest.fixture
def payment(make_payment: Callable[..., Payment]) -> Payment:
    return make_payment()


@pytest.fixture
def barcode_payment(make_payment: Callable[..., Payment]) -> Payment:
    return make_payment(Channel.BARCODE)


@pytest.fixture
def refund(payment: Payment) -> Refund:
    return Refund(
        id=UUID("fedcba9876543210fedcba9876543210"),
        payment_id=payment.id,
        merchant_id="m1",
        idempotency_key="r1",
        request_hash="h",
        provider="wechatpay",
        account="main",
        amount=500,
        reason="杯子碎了",
        created_at=payment.created_at,
    )


@pytest.fixture
def transaction(payment: Payment) -> dict[str, Any]:
    """A paid transaction: the query's answer, and a notification's plaintext."""
    return {
        "appid": side.APPID,
        "mchid": side.MCHID,
        "out_trade_no": payment.reference,
        "transaction_id": "4200002026112200000000001",
        "trade_type": "NATIVE",
        "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功",
        "bank_type": "OTHERS",
        "success_time": "2026-11-22T16:00:30+08:00",
        "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
        "amount": {"total": 1999, "payer_total": 1899, "currency": "CNY", "payer_currency": "CNY"},
    }


@pytest.fixture
def refund_answer(payment: Payment, refund: Refund) -> dict[str, Any]:
    """What the refund API answers for a refund that is accepted."""
    return {
        "refund_id": "50300000002026112200001",
        "out_refund_no": refund.reference,
        "transaction_id": "4200002026112200000000001",
        "out_trade_no": payment.reference,
        "channel": "ORIGINAL",
        "user_received_account": "招商银行信用卡0403",
        "create_time": "2026-11-22T16:10:00+08:00",
        "status": "PROCESSING",
        "amount": {"total": 1999, "refund": 500, "payer_total": 1999, "currency": "CNY"},
    }


@pytest.fixture
def refund_notice(payment: Payment, refund: Refund) -> dict[str, Any]:
    """The plaintext of a refund notification: `refund_status`, and no currency."""
    return {
        "mchid": side.MCHID,
        "out_trade_no": payment.reference,
        "transaction_id": "4200002026112200000000001",
        "out_refund_no": refund.reference,
        "refund_id": "50300000002026112200001",
        "refund_status": "SUCCESS",
        "success_time": "2026-11-22T16:11:00+08:00",
        "user_received_account": "招商银行信用卡0403",
        "amount": {"total": 1999, "refund": 500, "payer_total": 1999, "payer_refund": 500},
    }
