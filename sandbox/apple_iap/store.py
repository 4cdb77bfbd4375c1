import json
from pathlib import Path
from typing import Any

from sandbox.side import ControlError

USUAL: dict[str, Any] = {"notification_url": None, "one_time_charge": True}


class AppSettings:
    """What the developer set for the app in App Store Connect; it outlives a reset too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values = USUAL | (json.loads(path.read_text()) if path.exists() else {})

    @property
    def notification_url(self) -> str | None:
        """Where every notification goes: Apple knows one address an app."""
        url: str | None = self._values["notification_url"]
        return url

    @property
    def tells_one_time_charges(self) -> bool:
        """Whether a purchase that is no subscription is told at all."""
        return bool(self._values["one_time_charge"])

    def change(self, content: dict[str, Any]) -> dict[str, Any]:
        """Set what is given and return everything; raises ControlError."""
        if strange := content.keys() - USUAL.keys():
            raise ControlError(f"App Store Connect has no {', '.join(sorted(strange))}", 422)
        self._values |= content
        self._path.write_text(json.dumps(self._values))
        return dict(self._values)
