# Prepay ids and the links made of them: what the payer's phone or browser opens.
import secrets
import string
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from sandbox.books import Order
from sandbox.context import Context
from sandbox.side import ControlError
from sandbox.wechatpay.call import PROVIDER

PREPAY_SECONDS = 2 * 3600
H5_SECONDS = 5 * 60
H5_PATH = "/cgi-bin/mmpayweb-bin/checkmweb"
TOKEN_ALPHABET = string.ascii_letters + string.digits
LINKS_KEPT = 20


class Checkouts:
    """Issues checkouts and finds the order of one that is opened."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._orders: dict[str, tuple[str, str]] = {}
        for order in context.books.orders(PROVIDER):
            self._remember(order)

    def issue(self, order: Order) -> dict[str, str]:
        """The answer to placing `order`; renews its prepay id when that is too old.

        Changes `order`, which the caller stores.
        """
        now = self._context.clock.now()
        if not self.has_live_prepay(order):
            order.extra["prepay_id"] = f"wx{now:%d%H%M%S}{secrets.token_hex(11)}0000"
            order.extra["code"] = "".join(secrets.choice(TOKEN_ALPHABET) for _ in range(9))
            order.extra["prepay_at"] = now.isoformat()
            self._remember(order)
        if order.channel == "native":
            return {"code_url": f"weixin://wxpay/bizpayurl?pr={order.extra['code']}"}
        if order.channel == "h5":
            return {"h5_url": self._h5_url(order)}
        return {"prepay_id": order.extra["prepay_id"]}

    def has_live_prepay(self, order: Order) -> bool:
        """Whether the prepay id can still be paid with (2 hours)."""
        return self._is_young(order.extra.get("prepay_at"), PREPAY_SECONDS)

    def find(self, checkout: str) -> Order:
        """The order behind a code URL, an H5 URL or a prepay id; raises ControlError.

        An H5 URL also brings the merchant's `redirect_url`, which the order then remembers.
        """
        query = {key: values[0] for key, values in parse_qs(urlsplit(checkout).query).items()}
        token = query.get("pr") or query.get("prepay_id") or checkout.removeprefix("prepay_id=")
        key = self._orders.get(token)
        order = self._context.books.get_order(PROVIDER, *key) if key else None
        if order is None or token not in (order.extra.get("prepay_id"), order.extra.get("code")):
            raise ControlError("no order behind this checkout", 404)
        if "package" in query:
            self._open_h5(order, query)
        return order

    def _h5_url(self, order: Order) -> str:
        package = str(secrets.randbelow(9 * 10**9) + 10**9)
        links = dict(list(order.extra.get("links", {}).items())[1 - LINKS_KEPT :])
        order.extra["links"] = links | {package: self._context.clock.now().isoformat()}
        prepay_id = order.extra["prepay_id"]
        return f"{self._context.base_url}{H5_PATH}?prepay_id={prepay_id}&package={package}"

    def _open_h5(self, order: Order, query: dict[str, str]) -> None:
        issued_at = order.extra.get("links", {}).get(query["package"])
        if not self._is_young(issued_at, H5_SECONDS):
            raise ControlError("this link has expired; place the order again for a fresh one", 410)
        if "redirect_url" in query:
            order.extra["redirect_url"] = query["redirect_url"]
            self._context.books.put_order(order)

    def _is_young(self, since: str | None, seconds: float) -> bool:
        clock = self._context.clock
        return since is not None and clock.elapsed(datetime.fromisoformat(since)) < seconds

    def _remember(self, order: Order) -> None:
        for name in ("prepay_id", "code"):
            if name in order.extra:
                self._orders[order.extra[name]] = (order.merchant, order.reference)
