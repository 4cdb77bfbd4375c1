"""What became of a purchase: for the store, which decides whether its buyer gets the money back."""

from api.dependencies import Dependencies
from api.in_app.requests import ConsumptionRequest
from api.in_app.verify import store_of
from domain.errors import InvalidRequest
from domain.payment import Payment


async def send_consumption(
    dependencies: Dependencies, payment: Payment, request: ConsumptionRequest
) -> None:
    """Tell the store, once the buyer has agreed to that.

    Raises:
        InvalidRequest: the payment did not buy that, or nothing yet.
        ProviderError: the store did not take it.
    """
    store = store_of(dependencies, payment)
    held = await dependencies.stores.entitlements.list_for_payment(payment.id)
    own = {payment.provider_reference, *(each.transaction_id for each in held)}
    number = request.transaction_id or payment.provider_reference
    if not payment.is_paid or number is None or number not in own:
        raise InvalidRequest("The payment did not buy that.", param="transaction_id")
    await store.send_consumption(number, request.to_domain())
