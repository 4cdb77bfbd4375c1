import html

from sandbox.books import Order

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#6b7686;--line:#e4e8ee;--card:#fff;
--back:#f4f6f9;--alipay:#1677ff;--wechatpay:#07a852;
--unionpay:#d7000f}
@media(prefers-color-scheme:dark){:root{--ink:#e8edf4;--soft:#93a0b2;--line:#2b3442;--card:#1a212c;
--back:#11161d}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI","PingFang SC","Noto Sans CJK SC",sans-serif}
main{max-width:30rem;margin:8vh auto;padding:0 1rem}main.wide{max-width:60rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:16px;padding:2rem;
box-shadow:0 8px 30px rgb(20 30 50/.06)}
.brand{font-weight:650;letter-spacing:.01em}.alipay{color:var(--alipay)}.wechatpay{color:var(--wechatpay)}
.unionpay{color:var(--unionpay)}
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
        f'<div class="card {_text(order.provider)}">'
        f'<div class="brand {_text(order.provider)}">{_brand(order.provider)}</div>'
        f'<p class="amount">¥{_yuan(order.amount)}</p><p class="subject">{_text(order.subject)}</p>'
        f"{_facts(facts)}"
        + (f'<p class="done" role="status">{_text(said)}</p>' if said else "")
        + (_buttons(order) if payable else "<p>Nothing left to pay here.</p>")
        + '<p class="note">A sandbox: no real money moves. <a href="/cashier/">All orders</a></p>'
        "</div>"
    )
    return _page(f"Pay ¥{_yuan(order.amount)}", body)


def list_page(orders: list[Order]) -> str:
    """The orders that wait for a payer; refreshes itself."""
    rows = "".join(
        f'<tr><td class="brand {_text(order.provider)}">{_brand(order.provider)}</td>'
        f'<td><a href="/cashier/{_text(order.provider)}/{_text(order.reference)}">'
        f"{_text(order.subject)}</a></td><td>{_text(order.channel)}</td>"
        f'<td>{_text(order.status)}</td><td class="sum">¥{_yuan(order.amount)}</td></tr>'
        for order in orders
    )
    table = (
        "<table><thead><tr><th>Provider</th><th>Order</th><th>Channel</th><th>Status</th>"
        f'<th class="sum">Amount</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    nothing = "<p>No order is waiting for a payer.</p>"
    body = (
        '<div class="card"><div class="brand">Cashier</div>'
        f'<div class="scroll">{table if orders else nothing}</div>'
        '<p class="note">This page looks again every three seconds.</p></div>'
    )
    return _page("Cashier", body, layout="wide", refresh='<meta http-equiv="refresh" content="3">')


def message_page(title: str, text: str) -> str:
    """A page that only says something."""
    body = f'<div class="card"><div class="brand">{_text(title)}</div><p>{_text(text)}</p></div>'
    return _page(title, body)


def _buttons(order: Order) -> str:
    base = f"/cashier/{_text(order.provider)}/{_text(order.reference)}"
    return (
        '<form method="post">'
        f'<button class="pay" formaction="{base}/pay">Pay</button>'
        f'<button formaction="{base}/pay-silently">Pay but lose the notification</button>'
        f'<button formaction="{base}/cancel">Cancel</button></form>'
    )


def _facts(facts: dict[str, str]) -> str:
    pairs = "".join(f"<dt>{_text(key)}</dt><dd>{_text(facts[key])}</dd>" for key in facts)
    return f"<dl>{pairs}</dl>"


def _page(title: str, body: str, *, layout: str = "", refresh: str = "") -> str:
    return PAGE.format(title=_text(title), style=STYLE, body=body, layout=layout, refresh=refresh)


def _brand(provider: str) -> str:
    return _text(BRANDS.get(provider, provider))


def _yuan(fen: int) -> str:
    return f"{fen // 100:,}.{fen % 100:02d}"


def _text(value: str) -> str:
    return html.escape(value)
