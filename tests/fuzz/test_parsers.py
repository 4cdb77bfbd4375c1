"""Whatever bytes arrive: understood, or refused in the one way that is foreseen. Never a crash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import PaymentError
from tests.fuzz.mangling import Message, mangled, retold, tampered, thorough
from tests.fuzz.parsers import PARSERS, genuine_messages, parser
from tests.fuzz.reading import reading

each = pytest.mark.parametrize("name", PARSERS)


@each
async def test_what_is_genuine_is_understood(name: str) -> None:
    """Else the rest would prove nothing."""
    under_fuzz = parser(name)
    for content in under_fuzz.contents:
        understood = await reading(under_fuzz, under_fuzz.seal(content))
        assert understood is not None or "refusal" in name


@each
@thorough(25)
@given(data=st.data())
async def test_what_is_tampered_with_is_rejected_or_says_the_same(
    name: str, data: st.DataObject
) -> None:
    under_fuzz = parser(name)
    genuine = data.draw(st.sampled_from(genuine_messages(name)))
    message = data.draw(tampered(genuine))

    understood = await reading(under_fuzz, message)

    if under_fuzz.distrust and understood is not None:
        assert unsigned(understood) == unsigned(await under_fuzz.read(genuine))


@each
@thorough(40)
@given(data=st.data())
async def test_whatever_the_provider_really_signs_is_understood_or_rejected(
    name: str, data: st.DataObject
) -> None:
    under_fuzz = parser(name)
    content = data.draw(st.sampled_from(under_fuzz.contents).flatmap(retold))

    await reading(under_fuzz, under_fuzz.seal(content))


@each
@thorough(10)
@given(data=st.data())
async def test_a_changed_message_under_no_signature_of_its_own_is_distrusted(
    name: str, data: st.DataObject
) -> None:
    """The content is altered, the old signature kept: a forgery is the one error, no other."""
    under_fuzz = parser(name)
    if under_fuzz.distrust is None:
        return
    content = under_fuzz.contents[0]
    genuine = under_fuzz.seal(content)
    changed = data.draw(mangled(content))
    if under_fuzz.forge is not None:
        forged = under_fuzz.forge(content, changed)
    else:
        other = under_fuzz.seal(changed)
        forged = Message(other.body, genuine.headers)
        if forged.headers == other.headers:
            # The signature stands in the body: put the old one there.
            forged = Message(genuine.body.replace(content, changed), genuine.headers)
    if forged == genuine:
        return
    try:
        understood = await under_fuzz.read(forged)
    except PaymentError as error:
        assert isinstance(error, under_fuzz.distrust)  # noqa: PT017 - both ways are tried
    else:
        assert unsigned(understood) == unsigned(await under_fuzz.read(genuine))


def unsigned(understood: object) -> object:
    """Without what is ours and new each time: a nonce and its signature in a checkout."""
    checkout = getattr(understood, "checkout", None)
    if checkout is None or not checkout.parameters:
        return understood
    return {
        key: checkout.parameters[key]
        for key in ("prepayid", "tradeNO", "tn")
        if key in checkout.parameters
    }
