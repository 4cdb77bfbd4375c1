"""What the App Store Server API's error codes say (docs: Error codes); pure tables.

Nothing here moves money: a refused question says nothing of it.
"""

from http import HTTPStatus

from providers.base import Verdict

# No such transaction, or no customer of it, at this host.
NOT_FOUND = frozenset({"4040010", "4040005", "4040001"})

_CODES: dict[Verdict, str] = {
    Verdict.REJECTED: """
        4000000 4000005 4000006 4000008 4000009 4000010 4000011 4000012 4000013 4000014
        4000015 4000016 4000017 4000018 4000019 4000020 4000021 4000022 4000023 4000024 4000025
        4000026 4000027 4000028 4000030 4000031 4000032 4000033 4000034 4000035 4000036 4000037
        4000038 4000039 4000040 4000041 4000042 4000043 4000047 4000048 4000183 4000185 4000187
        4030004 4030005 4030007 4040001 4040005 4040008 4040009 4040010 4040019
    """
    # Retention messaging, its images and tests: answered by no call of ours.
    """
        4000161 4000162 4000163 4000164 4000175 4000211 4000212 4000213 4000215 4000216 4000218
        4000219 4000224 4030014 4030016 4030017 4030018 4030019 4030026 4040014 4040015 4040018
        4040020 4040021 4090000 4090001
    """,
    # The app, and the address for notifications in App Store Connect.
    Verdict.BLOCKED: "4000002 4040003 4040007",
    # "Retryable" by name: the store's own parts do not agree yet.
    Verdict.NOT_PROCESSED: "4040002 4040004 4040006 4290000",
    Verdict.UNKNOWN: "5000000 5000001",
}
CODES = {code: verdict for verdict, text in _CODES.items() for code in text.split()}


def verdict_of(status: int, code: str | None) -> Verdict:
    """What an answer other than success means; `code` is None where the body is not the store's."""
    if code in CODES:
        return CODES[code]
    # 401 comes without a body: our key, our clock, or an app that has no release yet. What it
    # answers to was not looked at, and will be once a person has mended it.
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS):
        return Verdict.NOT_PROCESSED
    # A 4xx without the store's code may be any proxy's between us, so it is nobody's definite no.
    if code and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Verdict.REJECTED
    return Verdict.UNKNOWN
