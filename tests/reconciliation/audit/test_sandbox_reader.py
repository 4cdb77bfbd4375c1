"""What a payer could still pay at a provider, by the provider's own states."""

from pathlib import Path

import httpx

from reconciliation.audit.readers.sandbox import SandboxReader
from reconciliation.audit.records import ProviderOrder
from tests.sandbox.test_process import sandbox
from tests.sandbox.unionpay.test_unionpay_process import shop_in


async def test_an_order_at_unionpay_is_payable_until_it_is_paid_or_out_of_time(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "box"
    async with sandbox(data_dir) as (_, origin), httpx.AsyncClient(trust_env=False) as client:
        shop = shop_in(client, data_dir)
        placed, opened, paid = [(await shop.app())[0]["orderId"] for _ in range(3)]
        for path, reference in (("open", opened), ("pay", paid)):
            what = {"provider": "unionpay", "reference": reference, "notify": False}
            await client.post(f"{origin}/_sandbox/{path}", json=what)

        orders = await read(origin)
        assert {name: (o.status, o.payable, o.begun) for name, o in orders.items()} == {
            placed: ("CREATED", True, True),
            opened: ("OPENED", True, True),
            paid: ("PAID", False, True),
        }

        await client.post(f"{origin}/_sandbox/clock", json={"scale": 1e6})
        assert not any(order.payable for order in (await read(origin)).values())


async def read(origin: str) -> dict[str, ProviderOrder]:
    records = await SandboxReader(origin).read()
    return {order.reference: order for order in records.orders}
