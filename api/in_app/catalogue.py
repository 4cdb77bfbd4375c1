"""The catalogue: what a store sells for us, from configuration."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from domain.errors import InvalidRequest
from domain.product import Product


class Catalogue:
    """Our products by the store's product id."""

    def __init__(self, products: Iterable[Product] = ()) -> None:
        """Raises ValueError where two products have one id."""
        self._products: dict[str, Product] = {}
        for product in products:
            if product.id in self._products:
                raise ValueError(f"two products are called {product.id!r}")
            self._products[product.id] = product

    @classmethod
    def parse(cls, entries: Iterable[Mapping[str, Any]]) -> Self:
        """What `Settings.read_products` returns; raises ValueError."""
        return cls(Product.model_validate(entry) for entry in entries)

    def all(self) -> list[Product]:
        """Every product, in the order of the configuration."""
        return list(self._products.values())

    def find(self, product_id: str) -> Product | None:
        """The product, or None."""
        return self._products.get(product_id)

    def get(self, product_id: str) -> Product:
        """The product; raises InvalidRequest."""
        product = self.find(product_id)
        if product is None:
            raise InvalidRequest(
                f"There is no product {product_id!r}; GET /v1/products lists them.",
                param="product",
            )
        return product
