"""Whoever knows one provider's folder finds their way in every other."""

from pathlib import Path

import pytest

from providers.registry import PROVIDERS

ROOT = Path(__file__).parents[2] / "providers"
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
    "registration.py",
    "signing.py",
    "wire.py",
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_has_the_same_files(name: str) -> None:
    assert IN_EVERY_FOLDER - {path.name for path in (ROOT / name).glob("*.py")} == set()


def test_every_folder_is_a_registered_provider_or_the_kit() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    assert folders == {*PROVIDERS, "kit"}
