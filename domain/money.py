"""Money is an integer in minor units (`amount`: fen for CNY) with an ISO 4217 currency."""

from typing import Annotated

from pydantic import Field

# One hundred million yuan: the largest order that Alipay documents, and none of the others takes
# more. A larger number is a mistake in units.
LARGEST_AMOUNT = 10_000_000_000

Amount = Annotated[
    int,
    Field(
        strict=True,
        gt=0,
        le=LARGEST_AMOUNT,
        description="Whole minor units of the currency (fen for CNY); no decimals, no floats.",
        examples=[1999],
    ),
]
Currency = Annotated[
    str,
    Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code.", examples=["CNY"]),
]

# ISO 4217.
_NAMES_WITHOUT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_NAMES_WITH_THREE = "BHD IQD JOD KWD LYD OMR TND"
_NO_DECIMALS = frozenset(_NAMES_WITHOUT.split())
_THREE_DECIMALS = frozenset(_NAMES_WITH_THREE.split())


def minor_units(thousandths: int, currency: str) -> int:
    """Thousandths of the currency in its minor units; a fraction of one is rounded up."""
    if currency in _THREE_DECIMALS:
        return thousandths
    return -(-thousandths // (1000 if currency in _NO_DECIMALS else 10))
