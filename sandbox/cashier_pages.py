import html
from collections.abc import Mapping

from sandbox.books import Order

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#6b7686;--line:#e4e8ee;--card:#fff;
--back:#f4f6f9;--alipay:#1677ff;--wechatpay:#07a852;
--unionpay:#d7000f;--apple_iap:#6e56cf}
@media(prefers-color-scheme:dark){:root{--ink:#e8edf4;--soft:#93a0b2;--line:#2b3442;--card:#1a212c;
--back:#11161d}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI","PingFang SC","Noto Sans CJK SC",sans-serif}
main{max-width:30rem;margin:8vh auto;padding:0 1rem}main.wide{max-width:60rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:16px;padding:2rem;
box-shadow:0 8px 30px rgb(20 30 50/.06)}
.brand{font-weight:650;letter-spacing:.01em}.alipay{color:var(--alipay)}.wechatpay{color:var(--wechatpay)}
.unionpay{color:var(--unionpay)}.apple_iap{color:var(--apple_iap)}
.amount{font-size:2.75rem;font-weight:700;margin:.75rem 0 0;font-variant-numeric:tabular-nums}
.subject{margin:0 0 1.5rem;color:var(--soft);overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:auto 1fr;gap:.4rem 1rem;margin:0 0 1.5rem;padding:1rem 0;
border-block:1px solid var(--line);font-size:.9rem}dt{color:var(--soft)}
dd{margin:0;text-align:right;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
form{display:grid;gap:.6rem}button{font:inherit;font-weight:600;padding:.8rem;border-radius:10px;
border:1px solid var(--line);background:none;color:inherit;cursor:pointer}
button.pay{border:0;color:#fff;background:var(--alipay)}
.wechatpay button.pay{background:var(--wechatpay)}
.unionpay button.pay{background:var(--unionpay)}
.apple_iap button.pay{background:var(--apple_iap)}.card.apple_iap{color:inherit}
label{display:grid;gap:.25rem;font-size:.9rem;color:var(--soft)}
h2{font-size:1.05rem;margin:2rem 0 .5rem}
label.tick{grid-auto-flow:column;justify-content:start;align-items:center;gap:.5rem}
input,select{font:inherit;padding:.6rem;border-radius:10px;border:1px solid var(--line);
background:none;color:var(--ink)}input[type=checkbox]{justify-self:start}
form+form{margin-top:1rem}form.inline{display:inline-grid;margin:.15rem}
form.inline button{padding:.3rem .7rem;font-size:.85rem}
button:hover{filter:brightness(1.08)}
button:focus-visible{outline:3px solid var(--ink);outline-offset:2px}
.note{color:var(--soft);font-size:.85rem;margin:1.25rem 0 0}.done{font-weight:600;margin:0 0 1rem}
table{width:100%;border-collapse:collapse;font-size:.92rem}th{text-align:left;color:var(--soft);
font-weight:500}th,td{padding:.6rem .5rem;border-bottom:1px solid var(--line)}
td.sum,th.sum{text-align:right;font-variant-numeric:tabular-nums}a{color:inherit}
.scroll{overflow-x:auto}
"""
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}
<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>
<style>{style}</style></head><body><main class="{layout}">{body}</main></body></html>"""
BRANDS = {
    "alipay": "Alipay 支付宝",
    "wechatpay": "WeChat Pay 微信支付",
    "unionpay": "UnionPay 银联",
    "apple_iap": "App Store",
}


def order_page(order: Order, merchant: str, *, payable: bool, said: str | None = None) -> str:
    """One order, and what the payer can do with it."""
    facts = {
        "Merchant": merchant,
        "Order": order.reference,
        "Channel": order.channel,
        "Status": order.status,
    }
    if order.expires_at:
        facts["Pay until"] = f"{order.expires_at:%Y-%m-%d %H:%M:%S}"
    body = (
        f'<div class="card {text(order.provider)}">'
        f'<div class="brand {text(order.provider)}">{_brand(order.provider)}</div>'
        f'<p class="amount">¥{yuan(order.amount)}</p><p class="subject">{text(order.subject)}</p>'
        f"{_facts(facts)}"
        + (f'<p class="done" role="status">{text(said)}</p>' if said else "")
        + (_buttons(order) if payable else "<p>Nothing left to pay here.</p>")
        + '<p class="note">A sandbox: no real money moves. <a href="/cashier/">All orders</a></p>'
        "</div>"
    )
    return page(f"Pay ¥{yuan(order.amount)}", body)


def list_page(orders: list[Order], others: Mapping[str, str]) -> str:
    """The orders that wait for a payer, and other pages by title; refreshes itself."""
    rows = "".join(
        f'<tr><td class="brand {text(order.provider)}">{_brand(order.provider)}</td>'
        f'<td><a href="/cashier/{text(order.provider)}/{text(order.reference)}">'
        f"{text(order.subject)}</a></td><td>{text(order.channel)}</td>"
        f'<td>{text(order.status)}</td><td class="sum">¥{yuan(order.amount)}</td></tr>'
        for order in orders
    )
    table = (
        "<table><thead><tr><th>Provider</th><th>Order</th><th>Channel</th><th>Status</th>"
        f'<th class="sum">Amount</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    nothing = "<p>No order is waiting for a payer.</p>"
    links = "".join(f' <a href="{text(at)}">{text(title)}</a>' for title, at in others.items())
    body = (
        '<div class="card"><div class="brand">Cashier</div>'
        f'<div class="scroll">{table if orders else nothing}</div>'
        f'<p class="note">This page looks again every three seconds.{links}</p></div>'
    )
    return page("Cashier", body, layout="wide", refresh='<meta http-equiv="refresh" content="3">')


def message_page(title: str, message: str) -> str:
    """A page that only says something."""
    body = f'<div class="card"><div class="brand">{text(title)}</div><p>{text(message)}</p></div>'
    return page(title, body)


def _buttons(order: Order) -> str:
    base = f"/cashier/{text(order.provider)}/{text(order.reference)}"
    return (
        '<form method="post">'
        f'<button class="pay" formaction="{base}/pay">Pay</button>'
        f'<button formaction="{base}/pay-silently">Pay but lose the notification</button>'
        f'<button formaction="{base}/cancel">Cancel</button></form>'
    )


def _facts(facts: dict[str, str]) -> str:
    pairs = "".join(f"<dt>{text(key)}</dt><dd>{text(facts[key])}</dd>" for key in facts)
    return f"<dl>{pairs}</dl>"


def page(title: str, body: str, *, layout: str = "", refresh: str = "") -> str:
    """A whole page around a body that is markup already."""
    return PAGE.format(title=text(title), style=STYLE, body=body, layout=layout, refresh=refresh)


def _brand(provider: str) -> str:
    return text(BRANDS.get(provider, provider))


def yuan(fen: int) -> str:
    """An amount for people."""
    return f"{fen // 100:,}.{fen % 100:02d}"


def text(value: str) -> str:
    """A text that is no markup."""
    return html.escape(value)
