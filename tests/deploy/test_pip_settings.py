"""pip's settings, as pip itself understands them and as uv takes them."""

import os
from pathlib import Path
from typing import Any

import pytest

from deploy.pip_settings import (
    PROXIES,
    PYPI,
    PipSettingsError,
    pip_settings,
    pip_variables,
    uv_variables,
)

UV = Path(__file__).parents[2] / ".uv" / "bin" / "uv"


@pytest.fixture(autouse=True)
def newcomer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings of pip."""
    for name in os.environ:
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


NOTHING: dict[str, Any] = {
    "index_url": PYPI,
    "extra_index_urls": [],
    "find_links": [],
    "no_index": False,
    "trusted_hosts": [],
    "timeout": 15.0,
    "cert": None,
    "client_cert": None,
    "proxy": "",
}


@pytest.mark.parametrize(
    ("pip", "environ", "expected"),
    [
        ({}, {}, {}),
        ({"index_url": "https://m/s"}, {}, {"UV_DEFAULT_INDEX": "https://m/s"}),
        ({"index_url": "https://m/s"}, {"UV_INDEX_URL": "https://u/s"}, {}),
        ({"cert": "/roots.pem"}, {}, {"SSL_CERT_FILE": "/roots.pem"}),
        ({"cert": "/roots.pem"}, {"SSL_CERT_FILE": "/mine.pem"}, {}),
        ({"cert": "/c.pem"}, {"REQUESTS_CA_BUNDLE": "/r.pem"}, {"SSL_CERT_FILE": "/r.pem"}),
        ({"client_cert": "/me.pem"}, {}, {"SSL_CLIENT_CERT": "/me.pem"}),
        ({"trusted_hosts": ["a", "b:81"]}, {}, {"UV_INSECURE_HOST": "a b:81"}),
        ({"find_links": ["/nowhere", "https://l/"]}, {}, {"UV_FIND_LINKS": "https://l/"}),
        ({"find_links": ["file:///nowhere", "file:///proc"]}, {}, {"UV_FIND_LINKS": "/proc"}),
        ({"timeout": 99.5}, {}, {"UV_HTTP_TIMEOUT": "100"}),
        ({"timeout": 99.5}, {"UV_REQUEST_TIMEOUT": "7"}, {}),
        (
            {"extra_index_urls": ["https://a/s", "https://b/s"]},
            {},
            {"UV_INDEX": "https://a/s https://b/s", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        (
            {"proxy": "http://p:1"},
            {"https_proxy": "http://q:2"},
            dict.fromkeys(PROXIES, "http://p:1"),
        ),
    ],
)
def test_pips_settings_become_uvs_unless_uv_has_its_own(
    pip: dict[str, Any], environ: dict[str, str], expected: dict[str, str]
) -> None:
    usual: dict[str, str] = {} if "timeout" in pip else {"UV_HTTP_TIMEOUT": "30"}
    assert uv_variables(NOTHING | pip, environ) == usual | expected


@pytest.mark.parametrize("own", ["PIP_TARGET", "PIP_USER", "PIP_DRY_RUN", "PIP_CONFIG_FILE"])
def test_pip_installs_uv_where_it_should_whatever_else_is_set(own: str) -> None:
    found = pip_variables(NOTHING | {"index_url": "https://m/s"}, {own: "1", "HOME": "/h"})

    assert found == {
        "HOME": "/h",
        "PIP_INDEX_URL": "https://m/s",
        "PIP_TIMEOUT": "15.0",
        "PIP_CONFIG_FILE": os.devnull,
    }


def test_pip_is_given_the_roots_of_ssl_cert_file() -> None:
    assert pip_variables(NOTHING, {"SSL_CERT_FILE": "/s.pem"})["PIP_CERT"] == "/s.pem"


@pytest.mark.parametrize("hostile", ["PIP_QUIET=2", "PIP_NO_COLOR=1", "PIP_LOG=/dev/null"])
def test_pips_settings_are_those_that_pip_itself_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: str
) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nindex-url = https://a/s\n[install]\nindex-url = https://b/s\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "180")
    monkeypatch.setenv(*hostile.split("="))

    found = pip_settings(UV.with_name("python"))
    assert (found["index_url"], found["timeout"]) == ("https://b/s", 180)

    monkeypatch.setenv("PIP_INDEX_URL", "https://c/s")
    assert pip_settings(UV.with_name("python"))["index_url"] == "https://c/s"


def test_settings_that_pip_cannot_read_are_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text("index-url = https://a/s\n")  # no section
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))

    with pytest.raises(PipSettingsError, match=r"(?i)configuration"):
        pip_settings(UV.with_name("python"))
