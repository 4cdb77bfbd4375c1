"""What no document settles is a switch of the control API."""

from sandbox.strictness import RULES
from tests.sandbox.rig import Rig


async def test_every_rule_holds_until_it_is_switched_off(rig: Rig) -> None:
    assert await rig.look("strictness") == dict.fromkeys(RULES, True)
    changed = await rig.control("strictness", unionpay_terminal=False)
    assert {name for name, state in changed.items() if not state} == {"unionpay_terminal"}
    await rig.control("reset")
    assert all((await rig.look("strictness")).values())


async def test_an_unknown_rule_is_rejected_with_the_list_of_those_there_are(rig: Rig) -> None:
    for content in ({"nonsense": True}, {"unionpay_terminal": "no"}):
        both = {"wechatpay_openid": False} | content
        response = await rig.client.post("/_sandbox/strictness", json=both)
        assert response.status_code == 422
        assert "unionpay_terminal" in response.json()["detail"]
    assert all((await rig.look("strictness")).values())
