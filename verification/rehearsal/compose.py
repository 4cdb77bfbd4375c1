"""What docker-compose.yml says of each service, with this machine's places for its names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>(?:[^{}]|\$\{[^{}]*\})*))?\}")
_SECRET = re.compile(r"/run/secrets/(\w+)")


class Compose:
    """The file's services as plain processes see them.

    Args:
        variables: what the file's `${…}` are replaced by.
        places: what names and ports of containers are here, by the text to replace.
        secrets: the folder of the secrets' files.
    """

    def __init__(
        self, variables: Mapping[str, str], places: Mapping[str, str], secrets: Path
    ) -> None:
        text = (ROOT / "docker-compose.yml").read_text()
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        loaded: dict[str, Any] = yaml.safe_load(_interpolated(code, variables))
        self.services: dict[str, dict[str, Any]] = loaded["services"]
        self._files = {name: each["file"] for name, each in loaded["secrets"].items()}
        self._places, self._secrets = places, secrets

    def command(self, service: str) -> list[str]:
        """The service's command; a script of deploy/ in place of where it is mounted."""
        found = self.services[service]
        mounted = {
            target: str(ROOT / source)
            for source, target, *_ in (each.split(":") for each in found.get("volumes", []))
            if source.startswith("./deploy/")
        }
        return [mounted.get(word, self._placed(word)) for word in found["command"]]

    def environment(self, service: str) -> dict[str, str]:
        """The service's variables."""
        found = self.services[service].get("environment", {})
        return {key: self._placed(str(value)) for key, value in found.items()}

    def stop_seconds(self, service: str) -> float:
        """How long the service has between the signal to stop and its end by force."""
        return float(self.services[service].get("stop_grace_period", "10s").removesuffix("s"))

    def _placed(self, text: str) -> str:
        if text in self._places:
            return self._places[text]
        text = _SECRET.sub(lambda found: self._secret(found[1]), text)
        for inside, outside in self._places.items():
            # Bare words stand for themselves alone.
            if not inside.isalnum():
                text = text.replace(inside, outside)
        return text

    def _secret(self, name: str) -> str:
        return str(self._secrets / Path(self._files[name]).name)


def _interpolated(text: str, values: Mapping[str, str]) -> str:
    def replaced(match: re.Match[str]) -> str:
        value = values.get(match["name"], "")
        if value or match["kind"] is None:
            return value
        if match["kind"] == "?":
            raise KeyError(f"{match['name']}: {match['rest']}")
        return _interpolated(match["rest"], values)

    return _VARIABLE.sub(replaced, text)
