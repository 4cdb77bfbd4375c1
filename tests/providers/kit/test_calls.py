"""What a failed call says: nothing was sent, or nobody knows what happened."""

import httpx
import pytest

from domain.errors import OutcomeUnknown, ProviderUnavailable
from providers.kit.calls import send

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
LOST = (
    httpx.ReadError,
    httpx.ReadTimeout,
    httpx.WriteError,
    httpx.WriteTimeout,
    httpx.RemoteProtocolError,
    httpx.DecodingError,
)


async def answer_of(handler: object) -> httpx.Response:
    transport = httpx.MockTransport(handler)  # type: ignore[arg-type] # any callable
    async with httpx.AsyncClient(transport=transport) as http:
        return await send(http, http.build_request("POST", "https://p.example/"), provider="toy")


@pytest.mark.parametrize("kind", NOT_SENT)
async def test_what_never_left_was_certainly_not_processed(kind: type[httpx.HTTPError]) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise kind("no")

    with pytest.raises(ProviderUnavailable) as error:
        await answer_of(fail)

    assert (error.value.provider, error.value.provider_code) == ("toy", kind.__name__)


@pytest.mark.parametrize("kind", LOST)
async def test_a_lost_answer_leaves_the_outcome_unknown(kind: type[httpx.HTTPError]) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise kind("no")

    with pytest.raises(OutcomeUnknown) as error:
        await answer_of(fail)

    assert (error.value.provider, error.value.provider_code) == ("toy", kind.__name__)


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    found = await answer_of(
        lambda _: httpx.Response(302, headers={"location": "https://x.example"})
    )

    assert found.status_code == 302
