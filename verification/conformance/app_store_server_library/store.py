"""The app's developer by Apple's library, and its customers by the control API."""

import json
from typing import Any

from appstoreserverlibrary.api_client import GetTransactionHistoryVersion
from appstoreserverlibrary.models.TransactionHistoryRequest import TransactionHistoryRequest
from oracle import Receiver, Sandbox
from sdk import client, verifier

COINS, MONTHLY = "com.paysaga.tea.coins", "com.paysaga.tea.monthly"
YEARLY, RECIPES = "com.paysaga.tea.yearly", "com.paysaga.tea.recipes"


class Store:
    """One app in the App Store."""

    def __init__(self, sandbox: Sandbox, receiver: Receiver) -> None:
        self.sandbox, self.receiver = sandbox, receiver
        self.api, self.words = client(sandbox), verifier(sandbox)

    def act(self, deed: str, **content: object) -> dict[str, Any]:
        """Something that happens on a device or at Apple."""
        return dict(self.sandbox.do(f"apple_iap/{deed}", **content))

    def buy(self, product: str = COINS, **content: object) -> str:
        """The number of a new transaction; its notification is not sent."""
        usual = {"product_id": product, "notify": False}
        return str(self.act("buy", **(usual | content))["transaction_id"])

    def transaction(self, number: str) -> Any:
        """Get Transaction Info, verified."""
        answer = self.api.get_transaction_info(number)
        return self.words.verify_and_decode_signed_transaction(answer.signedTransactionInfo)

    def told(self) -> Any:
        """The next notification, verified outside."""
        body = json.loads(self.receiver.next().body)
        return self.words.verify_and_decode_notification(body["signedPayload"])

    def inside(self, notification: Any) -> Any:
        """The transaction of a notification, verified on its own."""
        return self.words.verify_and_decode_signed_transaction(
            notification.data.signedTransactionInfo
        )

    def history(
        self,
        number: str,
        wanted: TransactionHistoryRequest | None = None,
        version: GetTransactionHistoryVersion = GetTransactionHistoryVersion.V2,
    ) -> list[Any]:
        """Every page of a customer's history, every transaction verified."""
        found: list[Any] = []
        revision = None
        while True:
            answer = self.api.get_transaction_history(
                number, revision, wanted or TransactionHistoryRequest(), version
            )
            found += [
                self.words.verify_and_decode_signed_transaction(item)
                for item in answer.signedTransactions
            ]
            if not answer.hasMore:
                return found
            revision = answer.revision

    def order_id(self, number: str) -> str:
        """The number on the invoice of a transaction."""
        orders = self.sandbox.look("orders", provider="apple_iap")
        return str(
            next(o["extra"]["order_id"] for o in orders if o["provider_reference"] == number)
        )

    def all_told(self, count: int) -> list[Any]:
        """So many notifications, in the order in which they were signed."""
        return sorted((self.told() for _ in range(count)), key=lambda item: item.signedDate)
