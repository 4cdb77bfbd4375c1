import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from crypto.key_ring import new_key_file
from domain.errors import InvalidRequest, NotFound
from domain.merchant import LatePolicy, Merchant
from domain.merchant_settings import check_label, check_merchant_id, check_name
from storage.database import Database
from storage.keys import ApiKeyStore
from storage.merchants import MerchantStore
from webhooks.targets import LONGEST_URL, TargetRefused, check_new

PUBLIC = "93.184.216.34"


async def resolver(host: str, port: int) -> list[str]:
    if host == "nowhere.com":
        raise OSError
    if host[0].isdigit():
        return [host]
    return ["10.0.0.7"] if host.startswith("rebound.") else [PUBLIC]


@pytest.fixture
def variables(database_url: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "keys.toml").write_text(new_key_file())
    return {
        "PAYSAGA_MODE": "production",
        "PAYSAGA_DATABASE_URL": database_url,
        "PAYSAGA_PUBLIC_URL": "https://pay.shop.com",
        "PAYSAGA_ACCOUNTS_FILE": str(tmp_path / "accounts.toml"),
        "PAYSAGA_PAYLOAD_KEYS_FILE": str(tmp_path / "keys.toml"),
    }


async def paysaga(variables: dict[str, str], *line: str) -> Result:
    # Commands bring their own event loop.
    return await asyncio.to_thread(CliRunner().invoke, app, line, env=variables)


@pytest.fixture
async def merchant(database: Database) -> Merchant:
    """One from before there were rules."""
    made = Merchant(
        id=f"Tea shop {uuid4().hex}", name="\u0085", webhook_url="https://shop.example/hook#old"
    )
    await MerchantStore(database).create(made)
    return made


@pytest.mark.parametrize(
    "merchant_id",
    [
        "Tea shop",
        "",
        "-shop",
        "_shop",
        "shop/1",
        "shop\n",
        "shop&a=b",
        "Shop",
        "茶",
        "s" * 65,
        "a.b",
    ],
)
async def test_a_merchant_does_not_get_an_id_that_breaks_what_it_is_part_of(
    variables: dict[str, str], database: Database, merchant_id: str
) -> None:
    result = await paysaga(variables, "merchants", "create", "--", merchant_id)

    assert isinstance(result.exception, InvalidRequest), result.output
    assert await MerchantStore(database).get(merchant_id) is None


@pytest.mark.parametrize("merchant_id", ["s", "7-eleven", "tea-shop_1", "s" * 64])
def test_a_plain_id_is_fine(merchant_id: str) -> None:
    check_merchant_id(merchant_id)


@pytest.mark.parametrize("text", [" ", "a\nb", "a\x1b[31mb", "a\u2028b", "\ud83c", "n" * 101])
def test_a_name_or_label_does_not_steer_a_terminal_or_a_log(text: str) -> None:
    with pytest.raises(InvalidRequest):
        check_name(text)
    with pytest.raises(InvalidRequest):
        check_label(text)


def test_a_name_in_any_script_is_fine_and_a_label_may_be_empty() -> None:
    check_name("茶馆 & Söhne 🍵")
    check_label("")
    with pytest.raises(InvalidRequest):
        check_name("")


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.com/hook",
        "ftp://shop.com/hook",
        "shop.com/hook",
        "https:///hook",
        "https://localhost/hook",
        "https://127.0.0.1/hook",
        "https://127.1/hook",
        "https://[::1]/hook",
        "https://10.0.0.1/hook",
        "https://169.254.169.254/latest",
        "https://api:8000/ops",
        "https://postgres/",
        "https://shop.internal/hook",
        "https://rebound.shop.com/hook",
        "https://nowhere.com/hook",
        "https://user:secret@shop.com/hook",
        "https://@shop.com/hook",
        "https://shop.com\\@evil.com/hook",
        "https://shop.com/hook#part",
        "https://shop.com/hook#",
        "https://shop.com/a hook",
        "https://shop.com/hook\n",
        "https://shop.com/" + "a" * LONGEST_URL,
        "https://shop.com:99999/hook",
        "",
    ],
)
async def test_production_sends_no_webhook_where_nobody_outside_receives_it(url: str) -> None:
    with pytest.raises(TargetRefused):
        await check_new(url, allow_private=False, resolver=resolver)


async def test_a_public_webhook_url_is_fine() -> None:
    for url in ("https://shop.com/hook?key=1", f"https://{PUBLIC}:8443/", "https://xn--fiq.com/"):
        await check_new(url, allow_private=False, resolver=resolver)


async def test_the_sandbox_takes_loopback_and_does_not_need_a_resolver() -> None:
    for url in ("http://127.0.0.1:8090/hook", "http://sandbox:8090/hook", "https://nowhere.com/"):
        await check_new(url, allow_private=True, resolver=resolver)
    for url in ("http://169.254.169.254/", "http://shop.com/#a", "http://a:b@shop.com/"):
        with pytest.raises(TargetRefused):
            await check_new(url, allow_private=True, resolver=resolver)


async def test_no_command_sets_a_webhook_url_that_production_rejects(
    variables: dict[str, str], database: Database
) -> None:
    merchant_id, url = f"m-{uuid4().hex[:8]}", "https://127.0.0.1/hook"
    refused = await paysaga(variables, "merchants", "create", merchant_id, "--webhook-url", url)
    assert isinstance(refused.exception, TargetRefused), refused.output
    assert await MerchantStore(database).get(merchant_id) is None

    assert (await paysaga(variables, "merchants", "create", merchant_id)).exit_code == 0
    refused = await paysaga(variables, "merchants", "update", merchant_id, "--webhook-url", url)
    assert isinstance(refused.exception, TargetRefused), refused.output
    found = await MerchantStore(database).get(merchant_id)
    assert found is not None
    assert found.webhook_url is None


async def test_a_key_does_not_get_a_label_without_end(
    variables: dict[str, str], database: Database
) -> None:
    merchant_id = f"m-{uuid4().hex[:8]}"
    await paysaga(variables, "merchants", "create", merchant_id)
    line = ("keys", "create", "--merchant", merchant_id, "--label")
    refused = await paysaga(variables, *line, "l" * 65)
    assert isinstance(refused.exception, InvalidRequest), refused.output
    assert await ApiKeyStore(database).list_for_merchant(merchant_id) == []


async def test_a_merchant_from_before_the_rules_is_read_and_changed_as_before(
    variables: dict[str, str], database: Database, merchant: Merchant
) -> None:
    assert await MerchantStore(database).get(merchant.id) == merchant
    line = ("merchants", "update", merchant.id, "--late-policy", "accept")
    assert (await paysaga(variables, *line)).exit_code == 0
    changed = merchant.model_copy(update={"late_policy": LatePolicy.ACCEPT})
    assert await MerchantStore(database).get(merchant.id) == changed

    renamed = await paysaga(
        variables, "merchants", "update", merchant.id, "--name", "Tea", "--webhook-url", ""
    )
    assert renamed.exit_code == 0, renamed.output
    changed = changed.model_copy(update={"name": "Tea", "webhook_url": None})
    assert await MerchantStore(database).get(merchant.id) == changed


async def test_nobody_who_does_not_exist_is_changed(variables: dict[str, str]) -> None:
    result = await paysaga(variables, "merchants", "update", "nobody", "--name", "Tea")
    assert isinstance(result.exception, NotFound)
