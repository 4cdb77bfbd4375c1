from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import APIRouter

from sandbox.books import Order, Refund
from sandbox.faults import Fault
from sandbox.scenarios import DemoPayment


@dataclass(frozen=True)
class Message:
    """A signed notification, ready to be posted."""

    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What a notification is about; all that is needed to build and sign it again later.

    `content` is the provider's own snapshot of fields; `notice_id` stays the same on retries.
    """

    notice_id: str
    provider: str
    merchant: str
    reference: str
    kind: str
    url: str
    content: dict[str, Any]


class ProviderSide(Protocol):
    """What the control API, the cashier and the notifier need from one provider."""

    name: str
    ladder: tuple[float, ...]
    """Seconds between one notification attempt and the next."""

    call_faults: tuple[str, ...]
    """The kinds of faults that its answers can have."""

    notify_faults: tuple[str, ...]
    """The kinds of faults that `build` can give a notification."""

    demo: tuple[DemoPayment, ...]
    """The demo's payments at this provider."""

    pages: Mapping[str, str]
    """The paths of pages of its own at the cashier, by title."""

    def router(self) -> APIRouter:
        """The provider's own endpoints."""

    def manifest(self) -> dict[str, Any]:
        """This provider's part of `sandbox.json`; file names are absolute."""

    def accounts(self) -> list[dict[str, Any]]:
        """Its accounts as Paysaga's configuration takes them; file names are absolute."""

    def links(self) -> dict[str, str]:
        """The addresses of its interfaces, by what they are called."""

    def open_checkout(self, checkout: str) -> Order:
        """The phone or browser opens an order string or a URL; raises ControlError."""

    def open(self, order: Order) -> Order:
        """The payer scanned or opened the order without paying yet."""

    def pay(self, order: Order, *, notify: bool = True, amount: int | None = None) -> Order:
        """The payer pays (`amount` fen instead of the order's); raises ControlError."""

    def decline(self, order: Order, *, notify: bool = True) -> Order:
        """The payer's attempt fails."""

    def cancel(self, order: Order, *, notify: bool = True) -> Order:
        """The payer walks away."""

    def return_url(self, order: Order) -> str | None:
        """Where the browser goes after paying, signed if the provider signs it."""

    def complete_refund(self, refund: Refund, status: str) -> Refund:
        """A refund in flight reaches `status`; raises ControlError."""

    def rotate_keys(self, mode: str | None) -> dict[str, Any]:
        """New keys; returns the fresh part of the manifest; raises ControlError."""

    def notice(self, order: Order, refund: Refund | None) -> Notice | None:
        """The notification for the state as it is, None where the provider sends none."""

    def build(self, notice: Notice, fault: Fault | None) -> Message:
        """Build and sign one attempt, misbehaving as the fault says."""

    def accepts(self, status: int, body: bytes) -> bool:
        """Whether the receiver's answer counts as received."""

    def sweep(self) -> None:
        """Let time do its work: expire orders, finish what was pending. Called often."""

    def is_open(self, order: Order) -> bool:
        """Whether the payer can still pay."""


class ControlError(Exception):
    """The control API was asked for something impossible; the text says what."""

    def __init__(self, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
