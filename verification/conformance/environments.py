"""One virtual environment for each SDK, so that none of them meets ours or another's."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from deploy import install

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".conformance"
NAMES = ("python_alipay_sdk", "alipay_sdk_python", "wechatpayv3", "app_store_server_library")


def interpreter(name: str) -> Path:
    """The SDK's own Python, its environment made if it is missing or its pins have changed."""
    folder = FOLDER / name
    pins = ROOT / "verification" / "conformance" / name / "requirements.txt"
    stamp = folder / "made-from"
    wanted = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        uv = install.install_uv(ROOT / ".uv")
        install.create_environment(uv, folder)
        install.install(uv, folder, pins.read_text(), build_options(pins.with_name("build.txt")))
        stamp.write_text(wanted)
    return python


def build_options(tools: Path) -> tuple[str, ...]:
    """How the packages that come as source alone are built: by tools with hashes, or not at all."""
    if not tools.exists():
        return ("--no-build",)
    return ("--require-build-hashes", "--build-constraints", str(tools))


def environment() -> dict[str, str]:
    """What an SDK's process is given.

    Its clock shows China's time, because the Alipay SDKs send the machine's local time as
    Alipay's, and no proxy stands before the loopback address.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(ROOT / "verification" / "conformance" / "harness"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": "127.0.0.1",
        "TZ": "CST-8",
    }
