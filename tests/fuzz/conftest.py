"""The API of tests/api, with everything behind it."""

from tests.api.conftest import house, server, shop

__all__ = ["house", "server", "shop"]
