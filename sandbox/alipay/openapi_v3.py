# Alipay's OpenAPI v3 is not offered yet. Its addresses begin like WeChat Pay's, which must never
# answer in Alipay's place.
import secrets

from fastapi import APIRouter

from sandbox.wire_response import METHODS, WireResponse

BODY = b'{"code":"invalid-method","message":"OpenAPI v3 is not offered by this sandbox"}'


def router() -> APIRouter:
    """Every address under `/v3/alipay`."""
    routes = APIRouter(tags=["alipay"])
    for path in ("/v3/alipay", "/v3/alipay/{rest:path}"):
        routes.add_api_route(path, _refuse, methods=METHODS, include_in_schema=False)
    return routes


async def _refuse() -> WireResponse:
    headers = {
        "Content-Type": "application/json;charset=utf-8",
        "alipay-trace-id": secrets.token_hex(16),
    }
    return WireResponse(BODY, 404, headers)
