"""Run the whole stack on a folder until told to end: the parent that tests kill."""

import asyncio
import json
import sys
from pathlib import Path

from cli.embedded.config import StackConfig
from cli.embedded.stack import Stack


async def main() -> None:
    async with Stack(StackConfig(Path(sys.argv[1]), sandbox_time_scale=float(sys.argv[2]))) as it:
        place = {"api_url": it.api_url, "sandbox_url": it.sandbox_url}
        place |= {"database_url": it.database_url, "identity": it.identity.secret.hex()}
        sys.stdout.write(json.dumps(place) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
