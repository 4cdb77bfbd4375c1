"""Run PostgreSQL and Temporal on a folder until told to end: the parent that tests kill."""

import asyncio
import sys
from pathlib import Path

from cli.embedded.config import Service, StackConfig
from cli.embedded.stack import Stack


async def main() -> None:
    services = frozenset({Service.POSTGRES, Service.TEMPORAL})
    async with Stack(StackConfig(Path(sys.argv[1]), services=services)):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
