import os
from pathlib import Path

import pytest

from sandbox.app import create_app

ORIGIN = "http://sandbox.test"


def open_databases(folder: Path) -> list[str]:
    """The files of the folder's database that this process holds open."""
    links = Path("/proc/self/fd").iterdir()
    return [target for link in links if "sqlite3" in (target := target_of(link, folder))]


def target_of(link: Path, folder: Path) -> str:
    try:
        target = os.readlink(link)  # noqa: PTH115 - a descriptor's target need not be a path
    except FileNotFoundError:
        return ""
    return target if target.startswith(str(folder)) else ""


def test_a_sandbox_that_is_built_and_never_run_leaves_no_file_open(data_dir: Path) -> None:
    create_app(data_dir, ORIGIN)

    assert open_databases(data_dir) == []


async def test_a_sandbox_whose_server_fails_leaves_no_file_open(data_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        await fail_while_running(data_dir)

    assert open_databases(data_dir) == []


async def fail_while_running(folder: Path) -> None:
    app = create_app(folder, ORIGIN)
    async with app.router.lifespan_context(app):
        assert open_databases(folder) != []
        raise ZeroDivisionError
