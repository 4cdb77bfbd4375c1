from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from re import findall
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from api.payments import returns
from tests.api.house import ProviderSide, Shop, order
from tests.domain.making import NOW, payment

HOUR = timedelta(hours=1)
PAGE = "https://shop.example/thanks"
Age = Callable[[timedelta], None]


@pytest.fixture
def age(monkeypatch: pytest.MonkeyPatch) -> Age:
    """Let time pass for the links alone."""

    def pass_by(time: timedelta) -> None:
        monkeypatch.setattr(returns, "_now", lambda: datetime.now(UTC) + time, raising=False)

    return pass_by


async def alipays_link(provider: ProviderSide, made: dict[str, Any]) -> str:
    parts = urlsplit((await pays(provider, made))["return_url"])
    return f"{parts.path}?{parts.query}"


async def pays(provider: ProviderSide, made: dict[str, Any]) -> dict[str, Any]:
    content = {
        "provider": made["provider"],
        "reference": made["id"].replace("-", ""),
        "checkout": made["checkout"]["value"],
        "notify": False,
    }
    if made["provider"] == "unionpay":
        del content["checkout"]
        url, fields = made["checkout"]["value"], made["checkout"]["parameters"]
        await provider.control.post(url, content=urlencode(fields), headers=FORM)
    paid: dict[str, Any] = (await provider.control.post("/_sandbox/pay", json=content)).json()
    return paid


FORM = {"content-type": "application/x-www-form-urlencoded"}


async def unionpays_form(provider: ProviderSide, made: dict[str, Any]) -> dict[str, str]:
    page = (await provider.control.get((await pays(provider, made))["return_url"])).text
    inputs = findall(r'name="(\w+)" value="([^"]*)"', page)
    return {name: unescape(value) for name, value in inputs}


async def test_an_alipay_return_link_does_not_lead_on_for_ever(
    shop: Shop, provider: ProviderSide, stranger: httpx.AsyncClient, age: Age
) -> None:
    made = await shop.pending(provider="alipay", account="main", channel="page", return_url=PAGE)
    link = await alipays_link(provider, made)
    assert (await stranger.get(link)).status_code == 303

    age(2 * HOUR)
    response = await stranger.get(link)
    assert response.status_code == 410
    assert "location" not in response.headers
    assert made["order_no"] not in response.text


async def test_a_unionpay_return_form_does_not_lead_on_for_ever(
    shop: Shop, provider: ProviderSide, stranger: httpx.AsyncClient, age: Age
) -> None:
    made = await shop.pending(provider="unionpay", account="main", channel="page", return_url=PAGE)
    form = urlencode(await unionpays_form(provider, made))
    assert (await stranger.post("/return/unionpay/main", content=form)).status_code == 303

    age(2 * HOUR)
    response = await stranger.post("/return/unionpay/main", content=form)
    assert (response.status_code, response.headers.get("location")) == (410, None)


async def test_an_old_return_link_does_not_show_how_a_payment_stands(
    shop: Shop, provider: ProviderSide, stranger: httpx.AsyncClient, age: Age
) -> None:
    made = await shop.pending(provider="alipay", account="main", channel="wap")
    link = await alipays_link(provider, made)
    assert made["order_no"] in (await stranger.get(link)).text

    age(2 * HOUR)
    response = await stranger.get(link)
    assert response.status_code == 410
    assert made["order_no"] not in response.text


async def test_a_return_link_leads_nowhere_but_to_its_own_payments_page(
    shop: Shop, provider: ProviderSide, stranger: httpx.AsyncClient
) -> None:
    made = await shop.pending(provider="alipay", account="main", channel="page", return_url=PAGE)
    link = await alipays_link(provider, made)
    evil = urlencode({"return_url": "https://evil.example"})
    for forged in (f"{link}&{evil}", f"{link}&{urlencode({'out_trade_no': '0' * 32})}"):
        response = await stranger.get(forged)
        assert (response.status_code, response.headers.get("location")) == (400, None)
    response = await stranger.get(link, headers={"host": "evil.example", "referer": "https://evil"})
    assert response.headers["location"].startswith(f"{PAGE}?payment_id={made['id']}&status=")
    assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example@evil.example/",
        "https://shop.example:secret@evil.example/",
        "https://@evil.example/",
        "https:/shop.example@evil.example/",
        "https://shop.example\\@evil.example/",
        "javascript:alert(1)",
        "//evil.example",
    ],
)
async def test_a_return_url_does_not_show_one_host_and_go_to_another(shop: Shop, url: str) -> None:
    response = await shop.create(order(return_url=url))
    assert response.status_code == 422, response.text
    assert response.json()["param"] == "return_url"


@pytest.mark.parametrize(
    ("paid_at", "ends"),
    [
        (None, timedelta(minutes=15) + HOUR),
        (timedelta(minutes=5), timedelta(minutes=5) + HOUR),
        (timedelta(hours=3), timedelta(minutes=15) + HOUR),
    ],
)
def test_a_link_ends_an_hour_after_its_payment(paid_at: timedelta | None, ends: timedelta) -> None:
    made = payment(expires_at=NOW + timedelta(minutes=15), paid_at=paid_at and NOW + paid_at)
    assert returns.is_open(made, NOW + ends - timedelta(seconds=1))
    assert not returns.is_open(made, NOW + ends)
