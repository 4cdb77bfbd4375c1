"""A word to the process that a run lives in: what its caller waits for is there.

No command and no wait: the run goes the same way whether anybody listens or not.
"""

from collections.abc import Callable
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.payment import Payment

# The name of the function that a worker may give to the runs in its process.
LISTENER = "paysaga_announced"
Answer = Payment | ApplicationError
Listener = Callable[[UUID, Answer], None]


def announce(payment_id: UUID, answer: Answer) -> None:
    """Tell whoever listens in this process how the submission went; a replay tells it again."""
    listener: Listener | None = workflow.extern_functions().get(LISTENER)
    if listener is not None:
        listener(payment_id, answer)
