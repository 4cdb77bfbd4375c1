from datetime import datetime

from sandbox.apple_iap.catalogue import PRODUCTS, SUBSCRIPTION
from sandbox.apple_iap.views import ASKED, BOUGHT, PROVIDER, PURCHASED, REFUNDED, SHEET
from sandbox.books import Order
from sandbox.cashier_pages import page, text, yuan
from sandbox.clock import BEIJING

LONGEST_LIST = 50
HERE = f"/cashier/{PROVIDER}"
SHARED = "FAMILY_SHARED"


def device_page(orders: list[Order], said: str = "") -> str:
    """A buyer's phone: what can be bought, what waits, and what was bought."""
    newest = orders[::-1]
    waiting = [order for order in newest if order.status in (SHEET, ASKED)]
    bought = [order for order in newest if order.status in BOUGHT][:LONGEST_LIST]
    body = (
        f'<div class="card {PROVIDER}"><div class="brand {PROVIDER}">A phone with your app</div>'
        + (f'<p class="done" role="status">{text(said)}</p>' if said else "")
        + _shop()
        + _table("Waiting", [_waiting_row(order) for order in waiting])
        + _table("Bought", [_bought_row(order) for order in bought])
        + '<p class="note">A sandbox: no real money moves. <a href="/cashier/">All orders</a></p>'
        "</div>"
    )
    return page("A phone with your app", body, layout="wide")


def _shop() -> str:
    options = "".join(
        f'<option value="{text(item.id)}">{text(item.title)}, ¥{yuan(item.amount)}</option>'
        for item in PRODUCTS.values()
    )
    return (
        f'<form method="post" action="{HERE}"><label>Product <select name="product_id">{options}'
        '</select></label><label>Quantity <input name="quantity" value="1" inputmode="numeric">'
        '</label><label>appAccountToken <input name="app_account_token" placeholder="the id of'
        ' a payment, or nothing"></label><label class="tick"><input type="checkbox"'
        ' name="ask_to_buy" value="1"> Ask a parent first</label>'
        '<button class="pay" name="deed" value="buy">Buy</button></form>'
        f'<form method="post" action="{HERE}"><label>Or what the shop handed to the app'
        ' <input name="checkout" placeholder=\'{"productId": …, "appAccountToken": …}\'></label>'
        '<button name="deed" value="open">Open the purchase sheet</button></form>'
    )


def _table(title: str, rows: list[str]) -> str:
    if not rows:
        return f'<h2>{title}</h2><p class="note">Nothing.</p>'
    return f'<h2>{title}</h2><div class="scroll"><table>{"".join(rows)}</table></div>'


def _waiting_row(order: Order) -> str:
    what = "asks a parent" if order.status == ASKED else "shows the purchase sheet"
    field = ("reference", order.reference)
    buttons = _button(field, "approve", "Approve") + _button(field, "decline", "Decline")
    return _row(order, what, buttons)


def _bought_row(order: Order) -> str:
    claims = order.extra["transaction"]
    field = ("transaction_id", claims["transactionId"])
    deeds = _deeds(order)
    state = order.status.lower()
    if "expiresDate" in claims:
        until = datetime.fromtimestamp(claims["expiresDate"] / 1000, BEIJING)
        state += f", until {until:%Y-%m-%d %H:%M}"
    if claims["inAppOwnershipType"] == SHARED:
        state += ", shared"
    buttons = "".join(_button(field, deed, label) for deed, label in deeds.items())
    return _row(order, f"{claims['transactionId']}<br>{text(state)}", buttons)


def _deeds(order: Order) -> dict[str, str]:
    claims = order.extra["transaction"]
    if claims["inAppOwnershipType"] == SHARED:
        return {"family-revoke": "End sharing"} if order.status == PURCHASED else {}
    if order.status == REFUNDED:
        return {"reverse-refund": "Reverse refund"}
    deeds = {"refund": "Refund", "request-refund": "Ask for refund"}
    if claims["type"] == SUBSCRIPTION:
        deeds |= {"renew": "Renew", "fail-renewal": "Fail renewal", "expire": "Expire"}
    if PRODUCTS[claims["productId"]].family:
        deeds["family-share"] = "Share"
    return deeds


def _row(order: Order, state: str, buttons: str) -> str:
    token = order.extra.get("token") or "no token"
    return (
        f'<tr><td>{text(order.subject)}<br><span class="note">{text(token)}</span></td>'
        f'<td>{state}</td><td class="sum">¥{yuan(order.amount)}</td><td>{buttons}</td></tr>'
    )


def _button(field: tuple[str, str], deed: str, label: str) -> str:
    name, value = field
    return (
        f'<form method="post" action="{HERE}" class="inline">'
        f'<input type="hidden" name="{name}" value="{text(value)}">'
        f'<button name="deed" value="{deed}">{label}</button></form>'
    )
