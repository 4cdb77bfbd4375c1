"""Characters that no book can keep and no provider's form takes are refused at the door."""

import json
from typing import Any

import httpx
import pytest

from tests.api.house import Shop, order

JSON = {"Content-Type": "application/json"}
BAD = ["a\x00b", "a\x1bb", "line\nbreak", "a\x7fb", "a\x85b", "a\ud800b", "\udfff"]


async def _post(shop: Shop, path: str, body: dict[str, Any], key: str = "k") -> httpx.Response:
    # Escaped, as any client's JSON library writes them: the text itself is no UTF-8.
    content = json.dumps(body).encode()
    return await shop.http.post(path, content=content, headers=JSON | {"Idempotency-Key": key})


FIELDS = {
    "subject": "{}",
    "order_no": "{}",
    "provider": "{}",
    "account": "{}",
    "currency": "{}",
    "return_url": "https://shop.test/{}",
    "metadata.table": "{}",
    "payer.open_id": "{}",
    "payer.buyer_id": "{}",
}


@pytest.mark.parametrize("field", FIELDS)
async def test_an_order_with_a_character_that_cannot_be_kept_is_rejected(
    shop: Shop, field: str
) -> None:
    outer, _, inner = field.partition(".")
    for bad in BAD:
        value = FIELDS[field].format(bad)
        body = order(**{outer: {inner: value} if inner else value})
        response = await _post(shop, "/v1/payments", body)
        problem = response.json()
        assert (response.status_code, problem["code"]) == (422, "invalid_request"), repr(bad)
        assert problem["param"] == field


@pytest.mark.parametrize("bad", BAD)
async def test_a_name_that_cannot_be_kept_is_rejected_too(shop: Shop, bad: str) -> None:
    for spoiled in ({"metadata": {bad: "x"}}, {bad: "x"}):
        response = await _post(shop, "/v1/payments", order(**spoiled))
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_the_reason_of_a_cancel_or_refund_is_text_too(shop: Shop) -> None:
    made = await shop.pending()
    for bad in BAD:
        for verb in ("cancel", "refunds"):
            response = await _post(shop, f"/v1/payments/{made['id']}/{verb}", {"reason": bad})
            assert (response.status_code, response.json()["param"]) == (422, "reason")
    assert (await shop.read(made))["status"] == "pending"


@pytest.mark.parametrize("name", ["provider", "order_no", "cursor"])
async def test_a_list_is_not_narrowed_by_what_cannot_be_kept(shop: Shop, name: str) -> None:
    response = await shop.http.get("/v1/payments", params={name: "a\x00b"})
    assert (response.status_code, response.json()["param"]) == (422, name)


async def test_every_other_character_is_kept_as_it_was_written(shop: Shop) -> None:
    text = "龙井 🍵 “50 g” <&> '; -- \\u0000 \u200d\ufeff"
    made = await shop.pending(subject=text, metadata={text[:40]: text})
    found = await shop.read(made)
    assert (found["subject"], found["metadata"]) == (text, {text[:40]: text})
