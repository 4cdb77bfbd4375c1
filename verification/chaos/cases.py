"""Which providers take part and what is done with them, as their sandbox sides hand it out."""

from providers.registry import PROVIDERS
from sandbox.sides import chaos_cases

_HANDED_OUT = chaos_cases()
# In the registry's order, so that a seed's plan depends on no folder's name.
CASES = {name: _HANDED_OUT[name] for name in PROVIDERS if name in _HANDED_OUT}
STORES = tuple(name for name, cases in CASES.items() if cases.sells)
OTHERS = tuple(name for name in CASES if name not in STORES)
# Where an order can be paid after it was closed here.
LATE = tuple((name, channel) for name in OTHERS for channel in CASES[name].late_channels)
OUTSIDE_PAYMENTS = tuple(
    (name, call) for name, cases in CASES.items() for call in cases.calls_outside_payments
)
