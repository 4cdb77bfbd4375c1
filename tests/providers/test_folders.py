"""Whoever knows one provider's folder finds their way in every other."""

from pathlib import Path

import pytest

from providers.registry import BUILDERS

PROVIDERS = Path(__file__).parents[2] / "providers"
IN_EVERY_FOLDER = {
    "__init__.py",
    "checkouts.py",
    "client.py",
    "codes.py",
    "config.py",
    "keys.py",
    "mapping.py",
    "notification.py",
    "provider.py",
    "signing.py",
    "wire.py",
}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_provider_has_the_same_files(name: str) -> None:
    assert IN_EVERY_FOLDER - {path.name for path in (PROVIDERS / name).glob("*.py")} == set()


def test_every_folder_is_a_registered_provider_or_the_kit() -> None:
    folders = {path.parent.name for path in PROVIDERS.glob("*/__init__.py")}

    assert folders == {*BUILDERS, "kit"}
