"""Any message, signed as its provider would sign it, with the keys of the house's sandbox."""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx

from sandbox.alipay.keys import KeyRing as AlipayKeys
from sandbox.alipay.signing import canonical
from sandbox.alipay.signing import sign as sign_alipay
from sandbox.unionpay.keys import KeyRing as UnionpayKeys
from sandbox.unionpay.sealing import seal
from sandbox.wechatpay.accounts import Accounts
from sandbox.wechatpay.answers import signature_headers
from sandbox.wechatpay.encryption import seal as seal_wechatpay
from tests.api.house import House

FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass
class Genuine:
    """Posts messages to our API in the providers' name."""

    folder: Path
    http: httpx.AsyncClient

    @classmethod
    def of(cls, house: House, http: httpx.AsyncClient) -> "Genuine":
        return cls(house.dependencies.settings.accounts_file.parent / "keys", http)

    async def alipay(self, payment: dict[str, Any], **fields: str) -> httpx.Response:
        """A notification of the trade: paid, unless `fields` say otherwise; "" leaves one out."""
        keys = AlipayKeys(self.folder)
        app_id, app = next((name, app) for name, app in keys.apps.items() if app.aes_key is None)
        amount = f"{payment['amount'] / 100:.2f}"
        content = {
            "app_id": app_id,
            "seller_id": keys.seller_id,
            "notify_id": secrets.token_hex(16),
            "notify_type": "trade_status_sync",
            "notify_time": "2026-11-22 10:00:00",
            "charset": "utf-8",
            "version": "1.0",
            "sign_type": "RSA2",
            "trade_no": payment["provider_reference"] or "2026112222001",
            "out_trade_no": reference(payment),
            "trade_status": "TRADE_SUCCESS",
            "total_amount": amount,
            "gmt_payment": "2026-11-22 09:00:00",
        }
        content = {name: value for name, value in (content | fields).items() if value}
        text = canonical(content, without=("sign", "sign_type"))
        content["sign"] = sign_alipay(text.encode(_codec(content)), app.alipay_key, "RSA2")
        body = urlencode(content, encoding=_codec(content))
        return await self.http.post("/notify/alipay/main", content=body, headers=FORM)

    async def unionpay(self, payment: dict[str, Any], **fields: str) -> httpx.Response:
        """A notification of a refund of the payment, unless `fields` say otherwise."""
        keys = UnionpayKeys(self.folder / "unionpay")
        merchant = next(one for one in keys.merchants.values() if one.secure_key is None)
        content = {
            "version": "5.1.0",
            "encoding": "UTF-8",
            "txnType": "04",
            "txnSubType": "00",
            "bizType": "000201",
            "accessType": "0",
            "merId": merchant.mer_id,
            "orderId": secrets.token_hex(16),
            "origQryId": payment["provider_reference"],
            "queryId": f"44{secrets.randbelow(10**19):019}",
            "txnTime": "20261122100000",
            "txnAmt": "500",
            "currencyCode": "156",
            "respCode": "00",
            "respMsg": "ok",
        }
        content = {name: value for name, value in (content | fields).items() if value}
        body = urlencode(seal(keys, merchant, content, "utf-8"))
        return await self.http.post("/notify/unionpay/main", content=body, headers=FORM)

    async def wechatpay(self, event_type: str, **resource: str) -> httpx.Response:
        """A notification of this type, whose content is no order and no refund."""
        merchants = Accounts(self.folder / "wechatpay").by_mchid.values()
        merchant = next(each for each in merchants if each.folder.name == "pubkey")
        sealed = seal_wechatpay(merchant.api_v3_key, b'{"state":"USER_PAID"}', "payscore")
        content = {"id": str(uuid4()), "event_type": event_type, "resource": sealed | resource}
        body = json.dumps(content).encode()
        signed = signature_headers(merchant.notification_key(), body, datetime.now(UTC))
        return await self.http.post("/notify/wechatpay/pubkey", content=body, headers=signed)

    async def bare_alipay(self, **fields: str) -> httpx.Response:
        """A message that is no trade's."""
        keys = AlipayKeys(self.folder)
        app_id, app = next((name, app) for name, app in keys.apps.items() if app.aes_key is None)
        content = {"app_id": app_id, "charset": "utf-8", "sign_type": "RSA2"} | fields
        text = canonical(content, without=("sign", "sign_type"))
        content["sign"] = sign_alipay(text.encode(), app.alipay_key, "RSA2")
        return await self.http.post("/notify/alipay/main", content=urlencode(content), headers=FORM)


def _codec(fields: dict[str, str]) -> str:
    return "gbk" if fields.get("charset", "").lower() == "gbk" else "utf-8"


def reference(payment: dict[str, Any]) -> str:
    """The payment's number at the provider."""
    return str(payment["id"]).replace("-", "")
