from pathlib import Path

import pytest
from pydantic import SecretStr

from api.in_app.catalogue import Catalogue
from domain.errors import InvalidRequest
from settings import Settings

PRODUCT = """
[[product]]
id = "com.shop.coins"
type = "consumable"
title = "Coins"
grants = "100 coins"
amount = 600
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url=SecretStr("postgresql+asyncpg://x@y/z"),
        public_url="https://pay.example",
        accounts_file=tmp_path / "accounts.toml",
        payload_keys_file=tmp_path / "keys.toml",
        products_file=tmp_path / "products.toml",
    )


def test_the_file_is_the_catalogue(settings: Settings) -> None:
    assert settings.products_file is not None
    settings.products_file.write_text(PRODUCT)
    catalogue = Catalogue.parse(settings.read_products())

    assert [each.id for each in catalogue.all()] == ["com.shop.coins"]
    assert catalogue.get("com.shop.coins").amount == 600
    with pytest.raises(InvalidRequest):
        catalogue.get("com.shop.gold")


def test_without_a_file_or_with_an_empty_one_nothing_is_sold(settings: Settings) -> None:
    assert settings.products_file is not None
    settings.products_file.write_text("")
    none = settings.model_copy(update={"products_file": None})

    assert settings.read_products() == none.read_products() == []


@pytest.mark.parametrize(
    "text", [PRODUCT * 2, PRODUCT.replace("600", "6.5"), PRODUCT.replace("consumable", "gift")]
)
def test_a_catalogue_that_cannot_be_is_refused_at_the_start(settings: Settings, text: str) -> None:
    assert settings.products_file is not None
    settings.products_file.write_text(text)

    with pytest.raises(ValueError, match=r"com\.shop\.coins|amount|type"):
        Catalogue.parse(settings.read_products())
