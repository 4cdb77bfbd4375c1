import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sandbox.context import Context
from sandbox.side import ProviderSide


def pick(source: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Return those of the keys that have a value."""
    return {key: source[key] for key in keys if source.get(key) is not None}


def write_manifest(context: Context, sides: dict[str, ProviderSide]) -> None:
    """Write `sandbox.json`: all that a client needs, with absolute file names."""
    manifest: dict[str, Any] = {"base_url": context.base_url}
    manifest |= {name: side.manifest() for name, side in sides.items()}
    manifest |= {
        "accounts": {name: side.accounts() for name, side in sides.items()},
        "demo": {name: [asdict(line) for line in side.demo] for name, side in sides.items()},
        "links": _links(context, sides),
        "cashier_url": f"{context.base_url}/cashier",
        "control_url": f"{context.base_url}/_sandbox",
        "merchant_url": f"{context.base_url}/merchant",
    }
    path = context.data_dir / "sandbox.json"
    # Whoever waits for the file must never read half of it.
    fresh = path.with_suffix(".json.new")
    fresh.write_text(json.dumps(manifest, indent=2) + "\n")
    fresh.replace(path)


def _links(context: Context, sides: dict[str, ProviderSide]) -> dict[str, str]:
    interfaces = {title: url for side in sides.values() for title, url in side.links().items()}
    pages = {title: path for side in sides.values() for title, path in side.pages.items()}
    return (
        interfaces
        | {"Cashier": f"{context.base_url}/cashier/", "Control": f"{context.base_url}/_sandbox"}
        | {title: f"{context.base_url}{path}" for title, path in pages.items()}
    )
