from temporalio.testing import ActivityEnvironment

from activities.provider_calls import ProviderActivities, Submission
from domain.checkout import Checkout, CheckoutKind, Created
from domain.payment import Channel
from providers.registry import Registry
from tests.workflows.shop import Shop


async def test_a_checkout_that_is_handed_out_once_survives_a_second_submission(shop: Shop) -> None:
    payment = (await shop.order(channel=Channel.BARCODE)).payment
    await shop.payments.record(payment)
    first = Checkout(kind=CheckoutKind.SDK, parameters={"tn": "611854042060710157601"})
    await shop.payments.save_checkout(payment.id, Created(checkout=first))

    steps = ProviderActivities(Registry([shop.provider]), shop.payments, shop.alarms)
    created = await ActivityEnvironment().run(steps.create_checkout, Submission(payment=payment))

    # The scripted provider has nothing more for the payer of a barcode.
    assert created.checkout == first
    assert (await shop.row(payment)).checkout == first
    assert created.report is not None
