"""Run the whole stack on a folder until told to end: the parent that tests kill."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from embedded.config import StackConfig
from embedded.stack import Stack
from tests.stack.shop import Place


async def main() -> None:
    async with Stack(StackConfig(Path(sys.argv[1]), sandbox_time_scale=float(sys.argv[2]))) as it:
        place = Place(it.api_url, it.sandbox_url, it.database_url)
        sys.stdout.write(json.dumps(asdict(place)) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
