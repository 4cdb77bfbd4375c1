from urllib.parse import parse_qs, urlsplit

import httpx

from tests.api.house import ProviderSide, Shop


async def _signed_return(provider: ProviderSide, made: dict[str, object]) -> str:
    """The address that the provider sends the payer's browser to, after paying."""
    content = {
        "provider": made["provider"],
        "reference": str(made["id"]).replace("-", ""),
        "checkout": made["checkout"]["value"],  # type: ignore[index]
        "notify": False,
    }
    paid = (await provider.control.post("/_sandbox/pay", json=content)).json()
    parts = urlsplit(paid["return_url"])
    return f"{parts.path}?{parts.query}"


async def test_a_payer_comes_back_to_the_merchants_page_with_our_report(
    shop: Shop, provider: ProviderSide, stranger: httpx.AsyncClient
) -> None:
    made = await shop.pending(
        provider="alipay",
        account="main",
        channel="page",
        return_url="https://shop.example/thanks?cart=7",
    )
    response = await stranger.get(await _signed_return(provider, made))
    assert response.status_code == 303
    target = urlsplit(response.headers["location"])
    assert (target.scheme, target.netloc, target.path) == ("https", "shop.example", "/thanks")
    assert parse_qs(target.query) == {
        "cart": ["7"],
        "payment_id": [made["id"]],
        "status": ["pending"],
    }
    assert (await shop.read(made))["status"] == "pending"


async def test_a_payer_without_a_page_to_go_to_reads_how_it_went(
    shop: Shop, provider: ProviderSide, stranger: httpx.AsyncClient
) -> None:
    made = await shop.pending(provider="alipay", account="main", channel="wap")
    response = await stranger.get(await _signed_return(provider, made))
    assert response.status_code == 200
    assert made["order_no"] in response.text
    assert "script" not in response.headers["content-security-policy"]


async def test_a_forged_return_leads_nowhere(
    shop: Shop, provider: ProviderSide, stranger: httpx.AsyncClient
) -> None:
    made = await shop.pending(
        provider="alipay", account="main", channel="page", return_url="https://shop.example/"
    )
    signed = await _signed_return(provider, made)
    for forged in (
        signed.replace("total_amount=19.99", "total_amount=0.01"),
        signed + "&extra=1",
        signed.partition("?")[0] + f"?out_trade_no={made['id'].replace('-', '')}",
    ):
        response = await stranger.get(forged)
        assert response.status_code == 400
        assert "location" not in response.headers


async def test_a_return_to_an_account_that_is_not_ours_is_not_found(
    stranger: httpx.AsyncClient,
) -> None:
    response = await stranger.get("/return/alipay/nobody")
    assert (response.status_code, response.json()["code"]) == (404, "account_not_found")


async def test_a_return_that_nobody_signs_sends_nothing(stranger: httpx.AsyncClient) -> None:
    response = await stranger.get("/return/wechatpay/pubkey?out_trade_no=1")
    assert response.status_code == 200
    assert "close this page" in response.text
