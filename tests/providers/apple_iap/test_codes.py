"""Apple's error codes of the App Store Server API, gone through whole.

The list is the `APIError` of Apple's own library, app-store-server-library 3.1.2 of 2026; its
libraries for Node, Java and Swift have the same codes.
"""

import pytest

from providers.apple_iap import codes
from providers.base import Verdict

DOCUMENTED = """
    4000000 4000002 4000005 4000006 4000008 4000009 4000010 4000011 4000012 4000013 4000014
    4000015 4000016 4000017 4000018 4000019 4000020 4000021 4000022 4000023 4000024 4000025
    4000026 4000027 4000028 4000030 4000031 4000032 4000033 4000034 4000035 4000036 4000037
    4000038 4000039 4000040 4000041 4000042 4000043 4000047 4000048 4000161 4000162 4000163
    4000164 4000175 4000183 4000185 4000187 4000211 4000212 4000213 4000215 4000216 4000218
    4000219 4000224 4030004 4030005 4030007 4030014 4030016 4030017 4030018 4030019 4030026
    4040001 4040002 4040003 4040004 4040005 4040006 4040007 4040008 4040009 4040010 4040014
    4040015 4040018 4040019 4040020 4040021 4090000 4090001 4290000 5000000 5000001
""".split()  # noqa: SIM905 - as it is published, one list
# The app, and the address for notifications in App Store Connect; of the next, "retryable" by
# name, and the limit of calls.
BLOCKED = {"4000002", "4040003", "4040007"}
NOT_PROCESSED = {"4040002", "4040004", "4040006", "4290000"}
# An internal error says nothing of what was done: query.
UNKNOWN_ON_PURPOSE = {"5000000", "5000001"}


def test_every_documented_code_has_a_verdict() -> None:
    assert len(DOCUMENTED) == 87
    assert set(codes.CODES) == set(DOCUMENTED)
    unknown = {code for code, verdict in codes.CODES.items() if verdict is Verdict.UNKNOWN}
    assert unknown == UNKNOWN_ON_PURPOSE


@pytest.mark.parametrize("code", DOCUMENTED)
def test_a_documented_code_means_what_its_name_says(code: str) -> None:
    expected = Verdict.REJECTED
    if code in BLOCKED:
        expected = Verdict.BLOCKED
    elif code in NOT_PROCESSED:
        expected = Verdict.NOT_PROCESSED
    elif code in UNKNOWN_ON_PURPOSE:
        expected = Verdict.UNKNOWN
    assert codes.verdict_of(int(code[:3]), code) is expected


def test_what_is_not_found_is_a_definite_no() -> None:
    assert {codes.CODES[code] for code in codes.NOT_FOUND} == {Verdict.REJECTED}
