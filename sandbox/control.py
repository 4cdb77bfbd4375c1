from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException

from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.database import Database
from sandbox.faults import NOTIFIER_KINDS, Fault
from sandbox.manifest import write_manifest
from sandbox.merchant import MerchantInbox
from sandbox.side import ControlError, ProviderSide

Content = Annotated[dict[str, Any], Body()]
Sides = dict[str, ProviderSide]


def control_router(
    context: Context, sides: Sides, inbox: MerchantInbox, database: Database
) -> APIRouter:
    """Everything that a test or a person can make happen, under `/_sandbox`."""
    router = APIRouter(prefix="/_sandbox", tags=["control"])
    _payer_routes(router, context, sides)
    _notify_routes(router, context, sides)
    _fault_routes(router, context, sides)
    _book_routes(router, context)
    _provider_routes(router, context, sides)
    _merchant_routes(router, inbox)

    @router.post("/clock")
    async def clock(content: Content) -> dict[str, float]:
        offset = content.get("offset_seconds")
        context.clock.adjust(
            scale=content.get("scale"),
            offset=None if offset is None else timedelta(seconds=offset),
        )
        seconds = context.clock.offset.total_seconds()
        return {"scale": context.clock.scale, "offset_seconds": seconds}

    @router.get("/strictness")
    async def strictness() -> dict[str, bool]:
        return context.strictness.all()

    @router.post("/strictness")
    async def set_strictness(content: Content) -> dict[str, bool]:
        try:
            context.strictness.set(content)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return context.strictness.all()

    @router.post("/reset")
    async def reset() -> dict[str, str]:
        await context.notifier.forget()
        database.clear()
        context.clock.reset()
        context.strictness.reset()
        return {"status": "ok"}

    return router


def find_order(context: Context, sides: Sides, content: dict[str, Any]) -> Order:
    """The order that the request means; a `checkout` is opened first, like a phone would."""
    provider, reference = content.get("provider", ""), content.get("reference", "")
    if provider not in sides:
        raise HTTPException(404, f"no provider {provider!r}")
    if checkout := content.get("checkout"):
        opened = _checked(lambda: sides[provider].open_checkout(checkout))
        reference = reference or opened.reference
    order = context.books.find_order(provider, reference)
    if order is None:
        raise HTTPException(404, f"no order {reference!r} at {provider}")
    return order


def _checked(action: Any) -> Any:
    try:
        return action()
    except ControlError as error:
        raise HTTPException(error.status, error.message) from error


def _payer_routes(router: APIRouter, context: Context, sides: Sides) -> None:
    @router.post("/open")
    async def open_order(content: Content) -> dict[str, Any]:
        order = find_order(context, sides, content)
        opened: Order = _checked(lambda: sides[order.provider].open(order))
        return opened.document()

    @router.post("/pay")
    async def pay(content: Content) -> dict[str, Any]:
        order = find_order(context, sides, content)
        side, notify = sides[order.provider], content.get("notify", True)
        amount = content.get("amount")
        paid: Order = _checked(lambda: side.pay(order, notify=notify, amount=amount))
        return paid.document() | {"return_url": side.return_url(paid)}

    @router.post("/decline")
    async def decline(content: Content) -> dict[str, Any]:
        order = find_order(context, sides, content)
        notify = content.get("notify", True)
        declined: Order = _checked(lambda: sides[order.provider].decline(order, notify=notify))
        return declined.document()

    @router.post("/cancel-by-payer")
    async def cancel(content: Content) -> dict[str, Any]:
        order = find_order(context, sides, content)
        notify = content.get("notify", True)
        cancelled: Order = _checked(lambda: sides[order.provider].cancel(order, notify=notify))
        return cancelled.document()


def _notify_routes(router: APIRouter, context: Context, sides: Sides) -> None:
    @router.post("/notify")
    async def notify(content: Content) -> dict[str, Any]:
        order = find_order(context, sides, content)
        refund = _find_refund(context, order, content)
        notice = _checked(lambda: sides[order.provider].notice(order, refund))
        if notice is None:
            raise HTTPException(409, "the provider sends no notification for this state")
        fault = None
        if kind := content.get("fault"):
            known = sides[order.provider].notify_faults
            if kind not in known:
                raise HTTPException(422, _unknown(order.provider, "notify", known))
            fault = Fault(
                provider=order.provider,
                operation="notify",
                kind=kind,
                params=content.get("params", {}),
            )
        answer = await context.notifier.send_now(notice, fault)
        return {
            "status": answer.status,
            "body": answer.body.decode("utf-8", "replace"),
            "accepted": answer.accepted,
            "seconds": answer.seconds,
        }

    @router.get("/notifications")
    async def notifications() -> dict[str, Any]:
        return {
            "attempts": context.notifier.attempts(),
            "deliveries": context.notifier.deliveries(),
        }


def _find_refund(context: Context, order: Order, content: dict[str, Any]) -> Refund | None:
    if content.get("kind", "payment") != "refund":
        return None
    reference = content.get("refund_reference")
    refunds = context.books.refunds_of(order)
    for refund in reversed(refunds):
        if reference in (None, refund.refund_reference):
            return refund
    raise HTTPException(404, f"no refund {reference!r} of {order.reference!r}")


def _fault_routes(router: APIRouter, context: Context, sides: Sides) -> None:
    @router.post("/faults", status_code=201)
    async def add(content: Content) -> dict[str, Any]:
        fault = _fault(content, sides)
        return {"id": context.faults.add(fault)} | asdict(fault)

    @router.get("/faults")
    async def all_faults() -> list[dict[str, Any]]:
        return context.faults.all()

    @router.delete("/faults")
    async def clear() -> dict[str, str]:
        context.faults.clear()
        return {"status": "ok"}


def _fault(content: dict[str, Any], sides: Sides) -> Fault:
    try:
        fault = Fault(**content)
    except TypeError as error:
        raise HTTPException(422, str(error)) from error
    if fault.provider not in sides:
        raise HTTPException(422, f"no provider {fault.provider!r}; {', '.join(sides)}")
    side = sides[fault.provider]
    is_call = fault.operation != "notify"
    known = side.call_faults if is_call else (*NOTIFIER_KINDS, *side.notify_faults)
    if fault.kind not in known:
        raise HTTPException(422, _unknown(fault.provider, fault.operation, known))
    if problem := fault.problem():
        raise HTTPException(422, problem)
    return fault


def _unknown(provider: str, operation: str, known: tuple[str, ...]) -> str:
    return f"{operation} at {provider} has only the faults: {', '.join(known)}"


def _book_routes(router: APIRouter, context: Context) -> None:
    @router.get("/orders")
    async def orders(
        provider: str | None = None, reference: str | None = None
    ) -> list[dict[str, Any]]:
        return [order.document() for order in context.books.orders(provider, reference)]

    @router.get("/refunds")
    async def refunds(
        provider: str | None = None, refund_reference: str | None = None
    ) -> list[dict[str, Any]]:
        found = context.books.refunds(provider, refund_reference)
        return [refund.document() for refund in found]

    @router.get("/ledger")
    async def ledger() -> list[dict[str, Any]]:
        return context.books.ledger()


def _provider_routes(router: APIRouter, context: Context, sides: Sides) -> None:
    @router.post("/refunds/complete")
    async def complete(content: Content) -> dict[str, Any]:
        provider = content.get("provider", "")
        found = context.books.refunds(provider, content.get("refund_reference", ""))
        if not found or provider not in sides:
            raise HTTPException(404, "no such refund")
        status = content.get("status", "SUCCESS")
        refund: Refund = _checked(lambda: sides[provider].complete_refund(found[-1], status))
        return refund.document()

    @router.post("/keys/rotate")
    async def rotate(content: Content) -> dict[str, Any]:
        if content.get("provider") not in sides:
            raise HTTPException(404, "no such provider")
        side = sides[content["provider"]]
        fresh: dict[str, Any] = _checked(lambda: side.rotate_keys(content.get("mode")))
        write_manifest(context, sides)
        return fresh


def _merchant_routes(router: APIRouter, inbox: MerchantInbox) -> None:
    @router.post("/merchant/{name}")
    async def script(name: str, content: Content) -> dict[str, str]:
        inbox.script(name, content, int(content.pop("times", -1)))
        return {"status": "ok"}

    @router.get("/merchant/{name}")
    async def received(name: str) -> list[dict[str, Any]]:
        return inbox.received(name)

    @router.delete("/merchant/{name}")
    async def forget(name: str) -> dict[str, str]:
        inbox.forget(name)
        return {"status": "ok"}
