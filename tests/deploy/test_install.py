"""Installing on machines that reach packages in their own way, each with a real index and real uv.

The project that is installed here is small: one package, whose lock file names an index that has
disappeared by the time of the installation.
"""

import hashlib
import http.server
import ipaddress
import os
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy import install
from deploy.install import InstallError

ROOT = Path(__file__).parents[2]
UV = ROOT / ".uv" / "bin" / "uv"
WHEEL = "teapot-1.0-py3-none-any.whl"
PYPROJECT = """\
[project]
name = "teahouse"
version = "1"
requires-python = ">=3.11"
dependencies = ["teapot==1.0"]

[tool.uv]
package = false
"""


def write_wheel(folder: Path, content: str) -> None:
    folder.mkdir(parents=True)
    info = "teapot-1.0.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("teapot.py", content)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: teapot\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "teapot.py,,\n")


class Index:
    """A package index below a folder, one index for each folder in it."""

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        self.folder = folder
        self.requests: list[str] = []
        requests = self.requests

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: object) -> None:
                super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

            def log_message(self, *_: object) -> None:
                requests.append(self.path)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if certificate is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def add(self, name: str, content: str) -> None:
        """Have an index of that name serve the package with that content."""
        page = self.folder / name / "teapot"
        write_wheel(page, content)
        digest = hashlib.sha256((page / WHEEL).read_bytes()).hexdigest()
        (page / "index.html").write_text(f'<a href="{WHEEL}#sha256={digest}">{WHEEL}</a>')

    def url(self, name: str, credential: str = "") -> str:
        return f"{self._scheme}://{credential}127.0.0.1:{self._server.server_port}/{name}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "served")
    yield index
    index.close()


@pytest.fixture(autouse=True)
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pip and uv settings, and with an empty cache."""
    for name in os.environ:
        if name.startswith(("PIP_", "UV_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")


@pytest.fixture
def project(tmp_path: Path, index: Index) -> Path:
    """A project with a lock file, whose index and the file's address are gone since."""
    folder = tmp_path / "teahouse"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    index.add("upstream", "colour = 'blue'")
    command = [str(UV), "lock", "--quiet", "--default-index", index.url("upstream")]
    subprocess.run(command, cwd=folder, check=True)  # noqa: S603 - our own uv
    index.folder.joinpath("upstream").rename(index.folder / "gone")
    index.requests.clear()
    return folder


def install_project(project: Path) -> None:
    """What `main` does, for another project."""
    environment = project / ".venv"
    install.create_environment(UV, environment)
    install.install(UV, environment, install.locked_requirements(UV, project))


def colour(project: Path) -> str:
    command = [str(project / ".venv/bin/python"), "-c", "import teapot; print(teapot.colour)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


def serve_mirror(index: Index) -> None:
    index.folder.joinpath("gone").rename(index.folder / "mirror")


@pytest.mark.parametrize("place", ["a variable", "the global section", "the install section"])
def test_packages_come_from_the_mirror_of_pips_settings(
    project: Path, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    serve_mirror(index)
    if place == "a variable":
        monkeypatch.setenv("PIP_INDEX_URL", index.url("mirror"))
    else:
        section = place.split()[1]
        settings = tmp_path / "pip.conf"
        settings.write_text(f"[{section}]\nindex-url = {index.url('mirror')}\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))

    install_project(project)

    assert colour(project) == "blue"
    assert all(path.startswith("/mirror/") for path in index.requests)


def test_another_file_of_the_same_name_is_not_installed(
    project: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add("mirror", "colour = 'red'")
    monkeypatch.setenv("PIP_INDEX_URL", index.url("mirror"))

    with pytest.raises(InstallError, match=r"(?i)hash mismatch(.|\n)*may be a forgery"):
        install_project(project)

    assert not list((project / ".venv").rglob("teapot.py"))


def test_a_second_index_of_pips_settings_is_used_too(
    project: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_mirror(index)
    (index.folder / "first").mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", index.url("first"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index.url("mirror"))

    install_project(project)

    assert colour(project) == "blue"


def test_a_failure_names_the_index_and_the_remedy_and_the_next_call_continues(
    project: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url("mirror", credential="tea:se@cret@"))
    with pytest.raises(InstallError) as failure:
        install_project(project)

    message = str(failure.value)
    assert f"could not be installed from {index.url('mirror')}" in message
    assert "cret@" not in message
    assert "pip config set global.index-url" in message

    serve_mirror(index)
    install_project(project)
    assert colour(project) == "blue"


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A company's root, and a server's key with the certificate that this root gave it."""
    now, names = datetime.now(UTC), {}
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "server")}
    for name in keys:
        names[name] = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def sign(name: str, extension: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(names["root"], names[name], keys[name].public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
        builder = builder.not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(extension, critical=name == "root")
        signed = builder.sign(keys["root"], hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    root, server = folder / "root.pem", folder / "server.pem"
    root.write_bytes(sign("root", x509.BasicConstraints(ca=True, path_length=None)))
    key = keys["server"].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    server.write_bytes(key + sign("server", address))
    return root, server


def test_a_root_that_pip_trusts_is_trusted(
    project: Path, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_mirror(index)
    root, server = make_certificate(tmp_path)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    secure = Index(index.folder, server)
    try:
        monkeypatch.setenv("PIP_INDEX_URL", secure.url("mirror"))
        with pytest.raises(InstallError, match="certificate"):
            install_project(project)

        monkeypatch.setenv("PIP_CERT", str(root))
        install_project(project)
    finally:
        secure.close()

    assert colour(project) == "blue"


def test_where_uvs_own_certificates_fail_the_machines_are_tried(tmp_path: Path) -> None:
    # A root in the machine's own store cannot be had in a test, so the program is a stand-in.
    tried = tmp_path / "tried"
    uv = tmp_path / "uv"
    uv.write_text(
        f'#!/bin/sh\necho "${{UV_SYSTEM_CERTS:-no}}" >> {tried}\n'
        '[ "$UV_SYSTEM_CERTS" ] || { echo "invalid peer certificate" >&2; exit 1; }\n'
    )
    uv.chmod(0o755)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {UV.with_name("python")} "$@"\n')
    python.chmod(0o755)

    install.install(uv, tmp_path, "")

    assert tried.read_text().split() == ["no", "true"]


def test_a_lock_file_of_another_pyproject_is_rejected_with_the_remedy(project: Path) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT.replace("1.0", "2.0"))

    with pytest.raises(InstallError, match="uv lock` brings them together"):
        install_project(project)


def test_an_index_of_the_users_own_does_not_make_the_lock_file_stale(
    project: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_mirror(index)
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url("mirror"))
    monkeypatch.setenv("PIP_INDEX_URL", index.url("nowhere"))

    install_project(project)

    assert colour(project) == "blue"


def test_an_environment_without_a_working_python_is_created_again(tmp_path: Path) -> None:
    environment = tmp_path / ".venv"
    python = environment / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/nowhere/python3")

    install.create_environment(UV, environment)
    subprocess.run([str(python), "-c", "pass"], check=True)  # noqa: S603 - the environment's own

    (environment / "kept").touch()
    install.create_environment(UV, environment)
    assert (environment / "kept").exists()


def test_an_installation_that_was_killed_is_begun_again(
    project: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_mirror(index)
    monkeypatch.setenv("PIP_INDEX_URL", index.url("mirror"))
    install_project(project)
    # As uv leaves it where it is killed between the two: it takes the package for installed.
    (module,) = (project / ".venv").rglob("teapot.py")
    module.unlink()
    (project / ".venv" / install.UNFINISHED).touch()

    install_project(project)

    assert colour(project) == "blue"
    assert not (project / ".venv" / install.UNFINISHED).exists()


def test_a_failed_installation_is_marked(project: Path) -> None:
    with pytest.raises(InstallError):
        install_project(project)

    assert (project / ".venv" / install.UNFINISHED).exists()


def test_uv_next_to_a_python_that_is_gone_is_installed_again(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".uv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "uv").touch()
    (folder / "bin" / "python").symlink_to("/nowhere/python3")
    (folder / "installed").write_text(install.PINNED_UV.read_text())
    index.folder.mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", index.url("mirror"))
    monkeypatch.setenv("PIP_RETRIES", "0")

    with pytest.raises(InstallError, match="pip could not install uv"):
        install.install_uv(folder)

    assert any(path.startswith("/mirror/uv/") for path in index.requests)


@pytest.mark.parametrize(
    "variable", ["UV_NO_DEV=1", "UV_NO_DEFAULT_GROUPS=1", "UV_RESOLUTION=lowest", "UV_PYTHON=3.99"]
)
def test_variables_for_uv_do_not_change_what_the_lock_file_means(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    wanted = install.locked_requirements(UV, ROOT)
    monkeypatch.setenv(*variable.split("="))

    assert install.locked_requirements(UV, ROOT) == wanted


def test_without_an_index_nothing_is_requested_from_one(
    project: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_mirror(index)
    monkeypatch.setenv("PIP_INDEX_URL", index.url("mirror"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InstallError):
        install_project(project)

    monkeypatch.setenv("PIP_FIND_LINKS", f"{index.folder}/mirror/teapot /nowhere")
    install_project(project)

    assert colour(project) == "blue"
    assert index.requests == []


def test_a_user_without_a_home_to_write_to_keeps_the_cache_next_to_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_CACHE_DIR")
    monkeypatch.setattr(os, "access", lambda *_: False)
    uv = tmp_path / ".uv" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.symlink_to(UV)
    python = uv.with_name("python")
    python.write_text(f'#!/bin/sh\nexec {UV.with_name("python")} "$@"\n')
    python.chmod(0o755)

    install.create_environment(uv, tmp_path / ".venv")
    install.install(uv, tmp_path / ".venv", "")

    assert (tmp_path / ".uv" / "cache").is_dir()


def test_two_installations_at_the_same_time_take_turns(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    order: list[str] = []

    def second() -> None:
        with install.alone(tmp_path):
            order.append("second")

    with install.alone(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.5)
        order.append("first")
    thread.join()

    assert order == ["first", "second"]


def test_a_python_without_venv_leaves_nothing_behind_and_the_message_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nmkdir -p "$3/bin"\nexit 1\n')  # as Debian's without python3-venv
    python.chmod(0o755)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(sys, "executable", str(python))

    with pytest.raises(InstallError, match="apt-get install python3-venv"):
        install.install_uv(tmp_path / ".uv")

    assert not (tmp_path / ".uv").exists()
