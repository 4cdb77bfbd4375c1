"""Independent clients against our sandbox, and against our provider code: `make conformance`."""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from verification.conformance import agreement_alipay, agreement_apple_iap, agreement_wechatpay
from verification.conformance.environments import NAMES, ROOT, environment, interpreter
from verification.conformance.result import Result, Results
from verification.conformance.sandbox_process import running_sandbox
from verification.conformance.toolchains import (
    JAVA_NAMES,
    NODE_NAMES,
    AbsentToolchainError,
    PackagesError,
    command,
)

CHECK_SECONDS = 180


def run_all() -> Results:
    """Every check; a crash of an SDK's script is a failed check too."""
    results = Results()
    with tempfile.TemporaryDirectory(prefix="paysaga-oracles-") as folder:
        with running_sandbox(Path(folder)) as manifest:
            for name in NAMES:
                results.all += run_check(name, manifest)
            for name in (*NODE_NAMES, *JAVA_NAMES):
                results.all += run_foreign(name, manifest)
            certificate = agreement_alipay.certificate_account(manifest)
            asyncio.run(agreement_apple_iap.compare(results, json.loads(manifest.read_text())))
        asyncio.run(agreement_alipay.compare(results, certificate))
        asyncio.run(agreement_wechatpay.compare(results))
    return results


def run_check(name: str, manifest: Path) -> list[Result]:
    """Run one Python SDK's script against the sandbox."""
    script = ROOT / "verification" / "conformance" / name / "check.py"
    return _run_script(_oracle(name), [str(interpreter(name)), str(script)], manifest)


def run_foreign(name: str, manifest: Path) -> list[Result]:
    """Run one Node or Java SDK's script, or say which program is missing for it."""
    oracle = _oracle(name)
    try:
        script = command(name)
    except AbsentToolchainError as absent:
        return [Result(oracle, f"skipped: {absent}", passed=False, skipped=True)]
    except PackagesError as error:
        return [Result(oracle, "its packages install", passed=False, detail=str(error))]
    return _run_script(oracle, script, manifest)


def _oracle(name: str) -> str:
    return f"{name.replace('_', '-')} against the sandbox"


def _run_script(oracle: str, script: list[str], manifest: Path) -> list[Result]:
    done = subprocess.run(  # noqa: S603 - our own script
        [*script, str(manifest)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=CHECK_SECONDS,
    )
    found = [Result(oracle, **json.loads(line)) for line in done.stdout.splitlines()]
    if done.returncode != 0 or not found:
        found.append(
            Result(oracle, "the script ends well", passed=False, detail=done.stderr[-2000:])
        )
    return found


def main() -> int:
    """Print the table; the exit status says whether everybody agrees."""
    results = run_all()
    sys.stdout.write(results.table() + "\n")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
