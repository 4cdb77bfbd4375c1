"""The scripts that the stack runs, each run for real or against a stand-in for its tool."""

import http.server
import json
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crypto.key_ring import KeyRing
from deploy.probe import is_healthy

Execute = Callable[..., subprocess.CompletedProcess[str]]

METRICS = b"""# TYPE temporal_num_pollers gauge
temporal_num_pollers{poller_type="workflow_task"} 5
temporal_num_pollers_other 9
temporal_idle 0
"""


def test_making_secrets_twice_keeps_the_first_ones(execute: Execute, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    first = execute("deploy/make-secrets.sh", folder)
    assert first.returncode == 0, first.stderr
    made = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    execute("deploy/make-secrets.sh", folder)
    assert made == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_made_secrets_are_all_different_and_closed_to_other_users(
    execute: Execute, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    execute("deploy/make-secrets.sh", folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    values = [path.read_text() for path in folder.iterdir() if path.is_file()]
    certificates = 6
    assert len(values) == len(set(values)) == 7 + certificates
    assert all(len(value.strip()) >= 44 for value in values)


def test_the_made_payload_keys_are_a_key_ring(execute: Execute, tmp_path: Path) -> None:
    execute("deploy/make-secrets.sh", tmp_path)
    assert KeyRing.from_file(tmp_path / "payload_keys.toml").newest == "k1"


def test_the_servers_password_is_read_from_its_file(
    execute: Execute, tmp_path: Path, fake_program: Any
) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    fake_program("entrypoint", 'printf %s "$POSTGRES_PWD"')
    done = execute(
        "deploy/temporal/server.sh",
        POSTGRES_PWD_FILE=str(tmp_path / "password"),
        TEMPORAL_ENTRYPOINT=str(tmp_path / "bin/entrypoint"),
    )
    assert (done.returncode, done.stdout) == (0, "hunter2")


def test_a_missing_password_file_stops_the_server_before_it_starts(
    execute: Execute, tmp_path: Path, fake_program: Any
) -> None:
    fake_program("entrypoint", "echo started")
    done = execute(
        "deploy/temporal/server.sh",
        POSTGRES_PWD_FILE=str(tmp_path / "none"),
        TEMPORAL_ENTRYPOINT=str(tmp_path / "bin/entrypoint"),
    )
    assert done.returncode != 0
    assert "started" not in done.stdout


def test_both_schemas_are_set_up_and_moved_forward(
    execute: Execute, tmp_path: Path, fake_program: Any
) -> None:
    (tmp_path / "password").write_text("hunter2")
    fake_program("temporal-sql-tool", 'echo "$SQL_PASSWORD $*"')
    done = execute(
        "deploy/temporal/schema.sh",
        SQL_PASSWORD_FILE=str(tmp_path / "password"),
        TEMPORAL_SCHEMAS="/schemas",
    )
    assert done.stdout.splitlines() == [
        "hunter2 --db temporal setup-schema -v 0.0",
        "hunter2 --db temporal update-schema -d /schemas/temporal/versioned",
        "hunter2 --db temporal_visibility setup-schema -v 0.0",
        "hunter2 --db temporal_visibility update-schema -d /schemas/visibility/versioned",
    ]


def test_a_failing_schema_step_fails_the_job(
    execute: Execute, tmp_path: Path, fake_program: Any
) -> None:
    (tmp_path / "password").write_text("hunter2")
    fake_program("temporal-sql-tool", 'case "$*" in *update-schema*) exit 1 ;; esac')
    done = execute("deploy/temporal/schema.sh", SQL_PASSWORD_FILE=str(tmp_path / "password"))
    assert done.returncode != 0


def test_digests_are_printed_for_every_variable_that_takes_one(
    execute: Execute, fake_program: Any, variables: set[str]
) -> None:
    fake_program("docker", 'for last; do :; done; echo "sha256:of-$last"')
    done = execute("deploy/pin-digests.sh")
    assert done.returncode == 0, done.stderr
    pinned = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert set(pinned) == {name for name in variables if name.endswith("_DIGEST")}
    assert pinned["TEMPORAL_UI_DIGEST"].startswith("@sha256:of-temporalio/ui:2.")
    assert pinned["PYTHON_DIGEST"].startswith("@sha256:of-python:3.11.")


def test_a_backup_is_one_copy_of_the_whole_server(execute: Execute, fake_program: Any) -> None:
    fake_program("docker", 'echo "$@"')
    done = execute("deploy/backup.sh")
    assert done.stdout.startswith("compose exec -T postgres pg_basebackup ")
    assert "--wal-method=fetch" in done.stdout


@pytest.fixture
def store_settings() -> Iterator[tuple[str, list[bytes]]]:
    """Where a sandbox's store is told of our address, and what it was told."""
    told: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/settings", told
        server.shutdown()


def test_the_sandbox_and_we_are_notified_of_each_other(
    execute: Execute, tmp_path: Path, store_settings: tuple[str, list[bytes]]
) -> None:
    settings_url, told = store_settings
    manifest = {
        "accounts": {
            "alipay": [{"name": "main", "app_id": "2021"}],
            "apple_iap": [{"name": "main", "bundle_id": "com.example"}],
        },
        "apple_iap": {
            "apps": {
                "main": {
                    "settings_url": settings_url,
                    "products": [{"id": "tea.coins", "amount": 600}],
                }
            },
        },
    }
    (tmp_path / "sandbox.json").write_text(json.dumps(manifest))
    command = [sys.executable, "-m", "deploy.sandbox_accounts"]
    files = [tmp_path / "sandbox.json", tmp_path / "accounts.toml"]
    done = execute(*command, *files, "http://api:8000")
    assert done.returncode == 0, done.stderr
    accounts = tomllib.loads((tmp_path / "accounts.toml").read_text())
    assert accounts["alipay"][0]["app_id"] == "2021"
    assert accounts["apple_iap"][0]["bundle_id"] == "com.example"
    products = tomllib.loads((tmp_path / "products.toml").read_text())
    assert products == {"product": [{"id": "tea.coins", "amount": 600}]}
    assert [json.loads(body) for body in told] == [
        {"notification_url": "http://api:8000/notify/apple_iap/main"}
    ]


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/good" else 503)
            self.end_headers()
            self.wfile.write(METRICS)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_the_probe_wants_a_good_answer(server: str) -> None:
    assert is_healthy(f"{server}/good")
    assert not is_healthy(f"{server}/bad")
    assert not is_healthy("http://127.0.0.1:9/good")


def test_the_probe_wants_the_metric_above_zero(server: str) -> None:
    assert is_healthy(f"{server}/good", "temporal_num_pollers")
    assert not is_healthy(f"{server}/good", "temporal_idle")
    assert not is_healthy(f"{server}/good", "temporal_num")


def test_the_operators_command_line_gets_the_token_by_environment_only(
    root: Path, execute: Execute, fake_program: Any, tmp_path: Path
) -> None:
    place = tmp_path / "deploy"
    (place / "secrets").mkdir(parents=True)
    (place / "secrets/operator_token").write_text("s3cret\n")
    (place / "temporal.sh").write_text((root / "deploy/temporal.sh").read_text())
    fake_program("docker", 'echo "$TEMPORAL_CODEC_AUTH"; echo "$@"')
    done = execute("sh", place / "temporal.sh", "workflow", "list")
    auth, arguments = done.stdout.splitlines()
    assert auth == "Bearer s3cret"
    assert "s3cret" not in arguments
    assert arguments.endswith("--entrypoint temporal temporal-namespace workflow list")


@pytest.mark.parametrize(
    "words",
    [
        ["--workflow-id", "payment-1", "--name", "sync"],
        ["-w", "payment-1"],
        ["--workflow-id=payment-1", "--input", '"two words"'],
    ],
)
def test_what_operators_enter_is_encrypted_for_the_workflow_that_they_name(
    root: Path, execute: Execute, fake_program: Any, tmp_path: Path, words: list[str]
) -> None:
    place = tmp_path / "deploy"
    (place / "secrets").mkdir(parents=True)
    (place / "secrets/operator_token").write_text("s3cret\n")
    (place / "temporal.sh").write_text((root / "deploy/temporal.sh").read_text())
    fake_program("docker", 'for word; do echo "$word"; done')
    done = execute("sh", place / "temporal.sh", "workflow", "update", "execute", *words)
    assert done.returncode == 0, done.stderr
    given = done.stdout.splitlines()
    assert given[given.index("execute") + 1 :] == [
        *words,
        "--codec-header",
        "X-Workflow-Id=payment-1",
    ]


@pytest.mark.parametrize(("labels", "healthy"), [('service_name="frontend"', True), ("", False)])
def test_temporal_is_healthy_once_its_frontend_has_answered(
    execute: Execute, fake_program: Any, labels: str, healthy: object
) -> None:
    line = f'service_requests{{operation="DescribeNamespace",{labels}}} 2'
    fake_program("wget", f"echo '{line}'")
    assert (execute("deploy/temporal/healthy.sh").returncode == 0) is healthy


def test_temporal_without_metrics_is_not_healthy(execute: Execute, fake_program: Any) -> None:
    fake_program("wget", "exit 1")
    assert execute("deploy/temporal/healthy.sh").returncode != 0
