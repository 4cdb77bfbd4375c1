"""Signing and verifying: ours, what OpenSSL itself does on this core, and what a user would pick.

Rates are per second of processor time, round by round in turn, all on one core. An SDK brings a
version of `cryptography` of its own, which may be some percent faster or slower than ours: code is
compared with code on the SDK's.
"""

import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cli.embedded.application import ROOT
from verification.benchmarks.figures import Spread, spread
from verification.conformance.environments import interpreter

SIGNERS = ROOT / "verification" / "benchmarks" / "signers"
SDKS = ("python_alipay_sdk", "wechatpayv3")
OPENSSL = "openssl speed"
OURS = "paysaga"
_LONGEST_SECONDS = 120
# Many short rounds: what moves the machine for a second then moves one round, not the median.
ROUNDS = 9
_ROW = re.compile(r"^rsa 2048 bits\s+\S+\s+\S+\s+([0-9.]+)\s+([0-9.]+)", re.MULTILINE)

Rates = dict[str, dict[str, Spread]]


class Signing(TypedDict):
    """Rates by implementation, ours over each of the others, and how far the rounds are apart."""

    rates: Rates
    ratios: dict[str, float]
    noise: dict[str, float]


def measure(seconds: float) -> Signing:
    """Each implementation `seconds` a round; missing where a tool is not to be had."""
    found: dict[str, list[Mapping[str, float]]] = {}
    with TemporaryDirectory(prefix="paysaga-bench-") as folder:
        keys = _keys(Path(folder))
        commands = _commands(keys, seconds)
        for _ in range(ROUNDS):
            for name, command in commands.items():
                found.setdefault(name, []).append(_run(name, command))
    return judge(found)


def judge(found: Mapping[str, Sequence[Mapping[str, float]]]) -> Signing:
    """Compare within each round, where the machine was the same to all."""
    rates: Rates = {
        name: {what: spread([one[what] for one in all_]) for what in ("sign", "verify")}
        for name, all_ in found.items()
    }
    ratios, noise = {}, {}
    for name in [name for name in found if name != OURS]:
        pairs = zip(found[OURS], found[name], strict=True)
        rounds = [one.get("ours", mine["sign"]) / one["sign"] for mine, one in pairs]
        middle = statistics.median(rounds)
        ratios[name] = round(middle, 3)
        noise[name] = round(statistics.median(abs(ratio - middle) for ratio in rounds), 3)
    return Signing(rates=rates, ratios=ratios, noise=noise)


def _commands(keys: Sequence[str], seconds: float) -> dict[str, list[str]]:
    arguments = [*keys, str(seconds)]
    commands = {OURS: [sys.executable, "-m", "verification.benchmarks.signers.ours", *arguments]}
    if openssl := shutil.which("openssl"):
        commands[OPENSSL] = [openssl, "speed", "-seconds", str(math.ceil(seconds)), "rsa2048"]
    for name in SDKS:
        script = SIGNERS / f"of_{name}.py"
        commands[name] = [str(interpreter(name)), str(script), *arguments]
    return commands


def _run(name: str, command: Sequence[str]) -> Mapping[str, float]:
    core = max(os.sched_getaffinity(0))
    done = subprocess.run(  # noqa: S603 - our own scripts, and openssl
        ["taskset", "--cpu-list", str(core), *command],  # noqa: S607
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-800:]}")
    if name != OPENSSL:
        rates: dict[str, float] = json.loads(done.stdout)
        return rates
    row = _ROW.search(done.stdout)
    if row is None:
        raise RuntimeError(f"{name} said something new: {done.stdout[-400:]}")
    return {"sign": float(row[1]), "verify": float(row[2])}


def _keys(folder: Path) -> tuple[str, str]:
    """A fresh pair as PEM files, PKCS#1 as all of them read it; medians do not depend on it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private, public = folder / "private.pem", folder / "public.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return str(private), str(public)
