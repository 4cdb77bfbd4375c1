import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sandbox.alipay.certificates import pem, root_serial_number, serial_number
from sandbox.app import create_app
from tests.sandbox.alipay_shop import AlipayShop
from tests.sandbox.alipay_v3_shop import AlipayV3Shop
from tests.sandbox.rig import Rig
from tests.sandbox.running import Sandboxes

ORIGIN = "http://sandbox.test"
NOTIFY_URL = "http://shop.test/notify/alipay"
Precreate = Callable[..., Awaitable[str]]


@pytest.fixture(scope="session")
def sandbox_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys are made once: RSA keys are slow, and no test changes them."""
    folder = tmp_path_factory.mktemp("sandbox")
    create_app(folder, ORIGIN)
    return folder / "keys"


@pytest.fixture
def data_dir(tmp_path: Path, sandbox_keys: Path) -> Path:
    """A fresh sandbox folder that already has its keys."""
    folder = tmp_path / "sandbox"
    shutil.copytree(sandbox_keys, folder / "keys")
    return folder


@pytest_asyncio.fixture(scope="session")
async def sandboxes(
    sandbox_keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sandboxes]:
    """Where tests get their sandbox from."""

    def new_folder() -> Path:
        folder = tmp_path_factory.mktemp("sandbox") / "sandbox"
        shutil.copytree(sandbox_keys, folder / "keys")
        return folder

    found = Sandboxes(new_folder, ORIGIN)
    yield found
    await found.close()


@pytest_asyncio.fixture
async def rig(sandboxes: Sandboxes) -> AsyncIterator[Rig]:
    """A sandbox in this process, reached without a network."""
    rig = await sandboxes.take()
    yield rig
    await sandboxes.reset()


def shop_of(rig: Rig, app: str) -> AlipayShop:
    """A seller who uses that application of the manifest."""
    alipay = rig.manifest["alipay"]
    return AlipayShop(rig.client, alipay["apps"][app], alipay["gateway_url"])


@pytest.fixture
def shop(rig: Rig) -> AlipayShop:
    """The seller with the `main` application."""
    return shop_of(rig, "main")


@pytest.fixture
def v3(shop: AlipayShop) -> AlipayV3Shop:
    """The same seller over OpenAPI v3."""
    return AlipayV3Shop(shop)


@pytest.fixture
def v3_aes(rig: Rig) -> AlipayV3Shop:
    """A seller who may encrypt contents over OpenAPI v3."""
    return AlipayV3Shop(shop_of(rig, "aes"))


@pytest.fixture
def v3_cert(rig: Rig) -> AlipayV3Shop:
    """A seller in certificate mode over OpenAPI v3."""
    twin = shop_of(rig, "cert")
    return AlipayV3Shop(
        twin,
        app_cert_sn=serial_number(twin.certificates("app_cert_file")[0]),
        root_cert_sn=root_serial_number(pem(*twin.certificates("alipay_root_cert_file"))),
    )


@pytest.fixture
def reference() -> str:
    """An order number that no other test uses."""
    return uuid.uuid4().hex


@pytest.fixture
def order(reference: str) -> dict[str, Any]:
    """The content of an order over 20 yuan."""
    return {"out_trade_no": reference, "total_amount": "20.00", "subject": "两本书 {2}"}


@pytest.fixture
def precreate(shop: AlipayShop, order: dict[str, Any]) -> Precreate:
    """Place the order as a QR code and return the code's text."""

    async def place(**changes: Any) -> str:
        node = await shop.call("alipay.trade.precreate", order | changes, notify_url=NOTIFY_URL)
        assert node["code"] == "10000", node
        return str(node["qr_code"])

    return place


@pytest.fixture
def paid(rig: Rig, precreate: Precreate, reference: str) -> Callable[[], Awaitable[str]]:
    """Place the order, have it paid without a notification, and return its number."""

    async def pay() -> str:
        await precreate()
        await rig.control("pay", provider="alipay", reference=reference, notify=False)
        return reference

    return pay
