"""Draws a plan from a seed."""

from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Any

from verification.chaos import faults
from verification.chaos.cases import CASES, LATE, OTHERS, STORES
from verification.chaos.faults import chance
from verification.chaos.plan import (
    OF_STORES,
    Course,
    EndpointFault,
    Fault,
    Flood,
    FloodKind,
    Kill,
    Plan,
    PlannedOrder,
    PlannedRefund,
)

MERCHANTS = 6
ACCEPTING = (5,)
SERVICES = ("postgres", "temporal", "sandbox", "api", "worker")
# Between two kills of one process: a kill before it has recovered would only prolong the first.
REST_SECONDS = 15.0
SWEEP_EVERY = 12.0
FLOOD_EVERY = 20.0
ENDINGS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
# The sandbox's time is faster than ours: an order must live long enough there.
LONG, AT_THE_TILL, SHORTEST = 7200, 600, 60
# A store gives a parent a day to agree.
A_DAY = 86_400
WEIGHTS = MappingProxyType(
    {
        Course.PAID: 64,
        Course.UNPAID: 6,
        Course.CANCELLED: 7,
        Course.LATE: 7,
        Course.DECLINED: 5,
        Course.OTHER_AMOUNT: 3,
        Course.TWICE: 8,
        Course.SOLD: 6,
        Course.PROVEN: 6,
        Course.STORE_REFUND: 5,
        Course.LOST: 4,
    }
)


# Late money goes back by itself; what a store sold, it alone gives back.
UNASKED = OF_STORES | {Course.LATE}


@dataclass(frozen=True)
class Settings:
    """How hard it blows. `rate` payments a second, `kill_every` seconds (0: no kills)."""

    payments: int
    seed: int
    rate: float = 3.5
    kill_every: float = 8.0
    weights: dict[Course, int] = field(default_factory=lambda: dict(WEIGHTS))

    @property
    def seconds(self) -> float:
        """How long new payments come."""
        return self.payments / self.rate


def generate(settings: Settings) -> Plan:
    """The plan that these settings give."""
    random = Random(settings.seed)  # noqa: S311 - to be repeatable, not secret
    orders: list[PlannedOrder] = []
    made = 0
    while made < settings.payments:
        order = _planned_order(random, settings, len(orders), made / settings.rate)
        made += len(order.keys)
        orders.append(order)
    return Plan(
        seed=settings.seed,
        orders=tuple(orders),
        kills=_kills(random, settings),
        endpoint_faults=_endpoint_faults(random, settings),
        at_start=tuple(faults.outside_payments(random) for _ in range(5)),
        merchants=MERCHANTS,
        accepting=ACCEPTING,
        floods=_floods(random, settings),
        sweep_every=SWEEP_EVERY,
    )


def _planned_order(random: Random, settings: Settings, number: int, at: float) -> PlannedOrder:
    provider = random.choice(OTHERS)
    channel = random.choice(CASES[provider].channels)
    courses = list(settings.weights)
    course = random.choices(courses, [settings.weights[course] for course in courses])[0]
    if course is Course.LATE:
        provider, channel = random.choice(LATE)
    elif course in OF_STORES:
        provider = _store(random)
        (channel,) = CASES[provider].channels
    elif channel == "barcode":
        course = Course.TILL
    amount = random.choice((1, 2, 100, random.randint(3, 9999), random.randint(3, 2_000_000)))
    product, quantity = _goods(random, provider) if course in OF_STORES else (None, 1)
    payer = _payer(random, provider, channel)
    return PlannedOrder(
        number=number,
        at=round(at, 3),
        merchant=random.randrange(MERCHANTS),
        provider=provider,
        account=random.choice(CASES[provider].accounts),
        channel=channel,
        amount=CASES[provider].sells[product] * quantity if product else amount,
        course=course,
        payer=payer,
        expires_in=_life(course, payer),
        pay_after=round(random.choice((0.0, random.uniform(0, 3), random.uniform(0, 25))), 2),
        faults=_order_faults(random, provider, channel, course),
        copies=random.choice((1, 1, 1, 2, 4)),
        contradicted=chance(random, 0.1),
        synced=chance(random, 0.1),
        forgeries=faults.afterwards(random, provider),
        refunds=_refunds(random, provider, amount) if course not in UNASKED else (),
        product=product,
        quantity=quantity,
        strangers=random.choice((0, 0, 0, 0, 1, 5, 20)),
    )


def _store(random: Random) -> str:
    # A choice of one would be drawn all the same.
    return random.choice(STORES) if len(STORES) > 1 else STORES[0]


def _goods(random: Random, store: str) -> tuple[str, int]:
    product = random.choice(tuple(CASES[store].sells))
    return product, random.randint(1, 3) if product == CASES[store].countable else 1


def _payer(random: Random, provider: str, channel: str) -> dict[str, str]:
    payer = {"client_ip": "203.0.113.7"}
    if channel == "jsapi":
        payer["open_id"] = random.choice(CASES[provider].open_ids)
    if channel == "barcode":
        magic = chance(random, 0.4)
        ending = random.choice(ENDINGS) if magic else "9999"
        payer["auth_code"] = f"{CASES[provider].code_prefix}{random.randrange(10**9):09}{ending}"
    return payer


def _life(course: Course, payer: dict[str, str]) -> int:
    if course is Course.TILL:
        return SHORTEST if payer["auth_code"].endswith("0003") else AT_THE_TILL
    if course in OF_STORES:
        return A_DAY
    return SHORTEST if course in (Course.UNPAID, Course.CANCELLED) else LONG


def _order_faults(random: Random, provider: str, channel: str, course: Course) -> tuple[Fault, ...]:
    if course in OF_STORES:
        return tuple(faults.of_query(random, provider))
    found = faults.of_create(random, provider, channel)
    if course in (Course.UNPAID, Course.CANCELLED, Course.TILL):
        found += faults.of_close(random, provider, channel)
    else:
        found += faults.of_query(random, provider)
    return tuple(found + faults.of_notification(random, provider))


def _refunds(random: Random, provider: str, amount: int) -> tuple[PlannedRefund, ...]:
    if not chance(random, 0.55):
        return ()
    if chance(random, 0.25):
        # Together more than was paid: at most one of them may pass.
        amounts = [(max(amount * 6 // 10, 1), 0) for _ in range(3)]
    elif chance(random, 0.25):
        amounts = [(amount + 1, 0), (amount, 1)]
    elif amount > 1:
        first = random.randint(1, amount - 1)
        amounts = [(first, 0), (amount - first, 1), (1, 2)]
    else:
        amounts = [(amount, 0)]
    return tuple(
        PlannedRefund(
            key=f"refund-{index}",
            amount=asked,
            wave=wave,
            copies=random.choice((1, 1, 3)),
            faults=tuple(faults.of_refund(random, provider)),
        )
        for index, (asked, wave) in enumerate(amounts)
    )


def _kills(random: Random, settings: Settings) -> tuple[Kill, ...]:
    kills: list[Kill] = []
    last = dict.fromkeys(SERVICES, -REST_SECONDS)
    at = settings.kill_every
    while settings.kill_every and at < settings.seconds + 30:
        ready = [name for name in SERVICES if at - last[name] >= REST_SECONDS]
        if ready:
            name = random.choice(ready)
            last[name] = at
            kills.append(Kill(round(at, 2), name))
        at += settings.kill_every * random.uniform(0.6, 1.4)
    return tuple(kills)


def _floods(random: Random, settings: Settings) -> tuple[Flood, ...]:
    count = int(settings.seconds / FLOOD_EVERY) + 1
    kinds = list(FloodKind)
    return tuple(
        Flood(round((number + random.random()) * FLOOD_EVERY, 2), kinds[number % len(kinds)])
        for number in range(count)
    )


def _endpoint_faults(random: Random, settings: Settings) -> tuple[EndpointFault, ...]:
    answers: tuple[dict[str, Any], ...] = (
        {"status": 500, "times": 2},
        {"status": 503, "times": 1},
        {"status": 302, "times": 1},
        {"delay_seconds": 3, "times": 3},
        # Longer than we wait: taken there, unknown here, told again.
        {"delay_seconds": 14, "times": 1},
        {"status": 200, "text": "<html>thank you</html>", "times": 2},
        {"status": 200, "body": {"decision": "refund", "reason": "sold out"}, "times": 2},
    )
    count = max(6, int(settings.payments / 12))
    endpoint_faults = [
        EndpointFault(
            round(random.uniform(0, settings.seconds), 2),
            random.randrange(MERCHANTS),
            random.choice(answers),
        )
        for _ in range(count)
    ]
    return tuple(sorted(endpoint_faults, key=lambda fault: fault.at))
