"""One call to a provider's server, and what its failures say: nothing sent, or outcome unknown."""

import httpx

from domain.errors import OutcomeUnknown, ProviderUnavailable

# These are raised before a byte of the request has left: nothing was processed.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


async def send(
    http: httpx.AsyncClient,
    request: httpx.Request,
    *,
    provider: str,
    auth: httpx.Auth | None = None,
) -> httpx.Response:
    """Send the request and return the answer, whatever its status. Redirects are not followed.

    Raises ProviderUnavailable where nothing was sent, OutcomeUnknown where the answer was lost;
    `provider_code` is then the name of httpx's error.
    """
    try:
        return await http.send(request, auth=auth, follow_redirects=False)
    except NOT_SENT as error:
        raise ProviderUnavailable(
            f"{provider} cannot be reached", provider=provider, provider_code=_kind(error)
        ) from error
    except httpx.HTTPError as error:
        raise unknown(
            provider, f"the answer was lost: {_kind(error)}", code=_kind(error)
        ) from error


def unknown(
    provider: str, message: str, *, code: str | None = None, provider_message: str | None = None
) -> OutcomeUnknown:
    """Return the error for an answer that cannot be believed, or that never came."""
    return OutcomeUnknown(
        f"{provider}: {message}",
        provider=provider,
        provider_code=code,
        provider_message=provider_message,
    )


def _kind(error: httpx.HTTPError) -> str:
    return type(error).__name__
