# The HTML that a payer's browser gets from UnionPay, and the forms that it brings.
import html
from html.parser import HTMLParser

from sandbox.unionpay.sealing import Fields

FORM_PAGE = """<!doctype html><html lang="zh"><meta charset="utf-8"><title>银联在线支付</title>
<body onload="document.forms[0].submit()"><form method="post" action="{action}">{inputs}
<noscript><button>返回商户</button></noscript></form></body></html>"""
ERROR_PAGE = """<!doctype html><html lang="zh"><meta charset="utf-8"><title>银联在线支付</title>
<body><h1>交易失败</h1><p>应答码 <code>{code}</code></p><p>{text}</p></body></html>"""


def form_page(action: str, fields: Fields) -> str:
    """A page that posts the fields by itself."""
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(key)}" value="{html.escape(value)}">'
        for key, value in fields.items()
    )
    return FORM_PAGE.format(action=html.escape(action), inputs=inputs)


def error_page(code: str, text: str) -> str:
    """What a payer sees of a refused order."""
    return ERROR_PAGE.format(code=html.escape(code), text=html.escape(text))


class FormReader(HTMLParser):
    """Reads the first form of a page: `action` and its hidden `fields`."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: Fields = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the form's address and each input's name and value."""
        values = {key: value or "" for key, value in attrs}
        if tag == "form" and not self.action:
            self.action = values.get("action", "")
        if tag == "input" and "name" in values:
            self.fields[values["name"]] = values.get("value", "")
