"""An upgrade to a build with changed workflows, and back, while payments go on."""

import asyncio
import shutil
from pathlib import Path

from verification.rehearsal.compose import ROOT
from verification.rehearsal.shape import APIS, Shape

OLD, NEW = "one", "two"
# The number of the worker that is kept of the newer build: compose's `worker-previous`.
_KEPT = 3
_SOURCES = (
    *("activities", "api", "crypto", "domain", "engine", "providers", "storage", "webhooks"),
    "workflows",
)
# What each build does first: the other cannot replay what this one began.
_FIRST_STEP = "        placed = await self._place()\n"
_ANOTHER_STEP = "        await workflow.sleep(0.05)\n"
# Payments are begun by the newer build meanwhile, and are still open when it is gone back from.
_LIVES_SECONDS = 8.0


async def forward_and_back(shape: Shape) -> list[str]:
    """Deploy the changed build as compose does, go back, and keep one worker of it."""
    sources = _changed(shape.folder / NEW)
    await shape.worker(_KEPT, sources, NEW).start()
    await _deploy(shape, NEW, sources)
    await asyncio.sleep(_LIVES_SECONDS)
    await _deploy(shape, OLD, ROOT)
    return []


async def _deploy(shape: Shape, build: str, sources: Path) -> None:
    """Promote the build, then restart the API processes with it, one after the other."""
    await shape.job("promote", more={"PAYSAGA_BUILD_ID": build})
    for number in range(1, APIS + 1):
        await shape.services[f"api-{number}"].stop()
        await shape.api(number, sources, build).start()


def _changed(target: Path) -> Path:
    for package in _SOURCES:
        shutil.copytree(
            ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in ("settings.py", "worker.py"):
        shutil.copy(ROOT / file, target / file)
    path = target / "workflows" / "payment.py"
    text = path.read_text()
    if _FIRST_STEP not in text:
        raise ValueError(f"{path} does not begin as this rehearsal expects")
    path.write_text(text.replace(_FIRST_STEP, _ANOTHER_STEP + _FIRST_STEP))
    return target
