# What a genuine signature may say that it should not, before it is put under the words.
from collections.abc import Callable
from typing import Any

Claims = dict[str, Any]
DAY = 86_400_000
FOREIGN_BUNDLE = "com.example.another"
FOREIGN_TOKEN = "7e3fb20b-4cdb-47cc-936d-99d65f608138"  # noqa: S105 - somebody else's order


def spoil(claims: Claims, kind: str, params: Claims) -> Claims:
    """The claims as the fault `kind` has them; most kinds leave them alone."""
    change = _CHANGES.get(kind)
    return claims if change is None else change(dict(claims), params)


def _foreign_app(claims: Claims, params: Claims) -> Claims:
    return claims | {"bundleId": params.get("bundle_id", FOREIGN_BUNDLE)}


def _wrong_environment(claims: Claims, params: Claims) -> Claims:
    return claims | {"environment": params.get("environment", "Xcode")}


def _wrong_amount(claims: Claims, params: Claims) -> Claims:
    if "price" not in claims:
        return claims
    fen = params.get("amount")
    return claims | {"price": claims["price"] + 10 if fen is None else int(fen) * 10}


def _wrong_product(claims: Claims, params: Claims) -> Claims:
    return _where(claims, "productId", params.get("product_id", "com.paysaga.tea.unknown"))


def _quantity(claims: Claims, params: Claims) -> Claims:
    return _where(claims, "quantity", int(params.get("quantity", 3)))


def _missing_token(claims: Claims, _params: Claims) -> Claims:
    claims.pop("appAccountToken", None)
    return claims


def _foreign_token(claims: Claims, params: Claims) -> Claims:
    if "transactionId" not in claims:
        return claims
    return claims | {"appAccountToken": params.get("token", FOREIGN_TOKEN)}


def _upper_case_token(claims: Claims, _params: Claims) -> Claims:
    return _where(claims, "appAccountToken", str(claims.get("appAccountToken", "")).upper())


def _stale(claims: Claims, _params: Claims) -> Claims:
    return _where(claims, "signedDate", claims.get("signedDate", 0) - DAY)


def _unknown_type(claims: Claims, _params: Claims) -> Claims:
    return _where(claims, "notificationType", "BRAND_NEW")


def _where(claims: Claims, name: str, value: object) -> Claims:
    return claims | {name: value} if name in claims else claims


_CHANGES: dict[str, Callable[[Claims, Claims], Claims]] = {
    "foreign_app": _foreign_app,
    "wrong_environment": _wrong_environment,
    "wrong_amount": _wrong_amount,
    "wrong_product": _wrong_product,
    "quantity": _quantity,
    "missing_token": _missing_token,
    "foreign_token": _foreign_token,
    "upper_case_token": _upper_case_token,
    "stale": _stale,
    "unknown_type": _unknown_type,
}
CLAIM_FLAWS = tuple(_CHANGES)
