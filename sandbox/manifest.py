import json
from typing import Any

from sandbox.context import Context
from sandbox.side import ProviderSide


def write_manifest(context: Context, sides: dict[str, ProviderSide]) -> None:
    """Write `sandbox.json`: all that a client needs, with absolute file names."""
    manifest: dict[str, Any] = {"base_url": context.base_url}
    manifest |= {name: side.manifest() for name, side in sides.items()}
    manifest |= {
        "cashier_url": f"{context.base_url}/cashier",
        "control_url": f"{context.base_url}/_sandbox",
        "merchant_url": f"{context.base_url}/merchant",
    }
    path = context.data_dir / "sandbox.json"
    # Whoever waits for the file must never read half of it.
    fresh = path.with_suffix(".json.new")
    fresh.write_text(json.dumps(manifest, indent=2) + "\n")
    fresh.replace(path)
