"""pip's settings of indexes, proxies and certificates, as variables for pip and for uv."""

import json
import math
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

PYPI = "https://pypi.org/simple"
# pip merges its files and variables by rules of its own, which `pip config list` does not apply
# from version 26 on, so pip's parser is asked. The names are those of its options.
_QUESTION = """
import json
from pip._internal.commands import create_command
options, _ = create_command("install").parse_args([])
names = "index_url extra_index_urls no_index find_links trusted_hosts"
names += " timeout cert client_cert proxy"
print(json.dumps({name: getattr(options, name) for name in names.split()}))
"""
PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


class PipSettingsError(Exception):
    """pip cannot read its settings; the message is pip's."""


def pip_settings(python: Path) -> dict[str, Any]:
    """Return pip's settings for `pip install`, by the names of its options.

    Raises:
        PipSettingsError: pip cannot read them.
    """
    command = [str(python), "-I", "-c", _QUESTION]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode != 0:
        raise PipSettingsError(done.stderr)
    settings: dict[str, Any] = json.loads(done.stdout)
    return settings


def certificates_of(pip: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return the file of roots that pip trusts; empty where that is what it contains itself."""
    # In this order: requests, below pip, prefers the variables to what pip gives it.
    bundle = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
    return bundle or pip["cert"] or ""


def pip_variables(pip: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings as pip's own variables, without its files and other settings.

    Those could have it install elsewhere than into the environment whose pip it is.
    """
    others = {name: value for name, value in environ.items() if not name.startswith("PIP_")}
    found = {
        "PIP_INDEX_URL": pip["index_url"] or "",
        "PIP_EXTRA_INDEX_URL": " ".join(pip["extra_index_urls"]),
        "PIP_FIND_LINKS": " ".join(pip["find_links"]),
        "PIP_TRUSTED_HOST": " ".join(pip["trusted_hosts"]),
        "PIP_TIMEOUT": str(pip["timeout"]),
        # pip itself does not know SSL_CERT_FILE in every version.
        "PIP_CERT": certificates_of(pip, environ) or environ.get("SSL_CERT_FILE", ""),
        "PIP_CLIENT_CERT": pip["client_cert"] or "",
        "PIP_PROXY": pip["proxy"],
        "PIP_NO_INDEX": "1" if pip["no_index"] else "",
        "PIP_CONFIG_FILE": os.devnull,
    }
    return others | {name: value for name, value in found.items() if value}


def uv_variables(pip: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings as uv's variables, without those that the user has set for uv."""
    found = {
        "UV_DEFAULT_INDEX": "" if (pip["index_url"] or PYPI) == PYPI else pip["index_url"],
        "UV_INDEX": " ".join(pip["extra_index_urls"]),
        "UV_FIND_LINKS": ",".join(link for link in map(_link, pip["find_links"]) if link),
        "UV_INSECURE_HOST": " ".join(pip["trusted_hosts"]),
        # Never less than uv waits by itself: pip's default is 15.
        "UV_HTTP_TIMEOUT": str(max(30, math.ceil(pip["timeout"]))),
        "SSL_CERT_FILE": certificates_of(pip, environ),
        "SSL_CLIENT_CERT": pip["client_cert"] or "",
    }
    if found["UV_INDEX"]:
        # As pip does: take it from any index. The hash decides which file it must be.
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    other_names = {
        "UV_DEFAULT_INDEX": "UV_INDEX_URL",
        "UV_INDEX": "UV_EXTRA_INDEX_URL",
        "UV_HTTP_TIMEOUT": "UV_REQUEST_TIMEOUT",
    }
    variables = {
        name: value
        for name, value in found.items()
        if value and not environ.get(name) and not environ.get(other_names.get(name, ""))
    }
    # pip's own proxy comes before the environment's.
    return variables | (dict.fromkeys(PROXIES, pip["proxy"]) if pip["proxy"] else {})


def _link(link: str) -> str | None:
    """Return a place of files as uv takes it; None where it is missing, which pip passes over."""
    if "://" in link and not link.startswith("file://"):
        return link
    path = unquote(link.removeprefix("file://")) if link.startswith("file://") else link
    folder = Path(path).expanduser()
    return str(folder) if folder.exists() else None
