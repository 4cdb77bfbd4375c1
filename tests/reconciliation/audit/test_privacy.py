import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionStartedEventAttributes,
)

from engine.encryption import ENCODING
from reconciliation.audit.finding import Promise
from reconciliation.audit.known_secrets import key_material
from reconciliation.audit.privacy import in_clear, unsealed
from reconciliation.audit.readers.secrets import log_files, search_files

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
PEM = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(c * 64 for c in "ABCDE") + "\n-----END-----\n"


def started(payloads: Sequence[Payload]) -> HistoryEvent:
    attributes = WorkflowExecutionStartedEventAttributes(input=Payloads(payloads=payloads))
    return HistoryEvent(workflow_execution_started_event_attributes=attributes)


def test_a_payload_that_left_unsealed_is_named_with_its_secret() -> None:
    body = json.dumps({"open_id": OPENID}).encode()
    event = started([Payload(metadata={"encoding": b"json/plain"}, data=body)])

    [found] = unsealed("the history of x", event)
    assert found.promise is Promise.SECRET_IN_CLEAR
    [leak] = in_clear("the history of x", event.SerializeToString(), {"an openid": OPENID})
    assert OPENID not in leak.what, "a finding does not repeat the secret"


def test_encrypted_payloads_and_search_attributes_are_no_finding() -> None:
    event = started([Payload(metadata={"encoding": ENCODING}, data=b"\x00\x01")])
    fields = event.workflow_execution_started_event_attributes.search_attributes.indexed_fields
    fields["MerchantId"].CopyFrom(Payload(metadata={"encoding": b"json/plain"}, data=b'"tea"'))

    assert list(unsealed("the history of x", event)) == []


@pytest.mark.parametrize(
    ("note", "found"),
    [
        (b'{"id":"a change","deprecated":false}', 0),
        (b'{"id":"a change","deprecated":true}', 0),
        (b'{"id":"a payment","deprecated":false,"open_id":"x"}', 1),
        (b'{"id":"a payment"}', 1),
    ],
)
def test_the_name_of_a_change_of_the_code_is_no_finding(note: bytes, found: int) -> None:
    event = started([Payload(metadata={"encoding": b"json/plain"}, data=note)])

    assert len(list(unsealed("the history of x", event))) == found


@pytest.mark.parametrize(
    ("provider", "fields"),
    [
        ("alipay", {"app_private_key", "aes_key"}),
        ("wechatpay", {"api_v3_key", "merchant_private_key"}),
        ("unionpay", {"pfx", "pfx_password", "secure_key"}),
        ("apple_iap", {"private_key"}),
    ],
)
def test_every_secret_of_an_account_is_looked_for(provider: str, fields: set[str]) -> None:
    account = {"name": "main", "environment": "x"} | dict.fromkeys(fields, "s" * 16)

    known = key_material({provider: [account]})

    assert set(known) == {f"{field} of {provider}/main" for field in fields}


def test_an_account_of_an_unknown_provider_has_no_known_secret() -> None:
    assert key_material({"paypal": [{"name": "main", "secret": "s" * 16}]}) == {}


def test_the_secrets_of_the_accounts_are_known_by_name() -> None:
    account = {"name": "main", "app_private_key": PEM, "aes_key": "k" * 24, "app_id": "2021"}

    secrets = key_material({"alipay": [account]})

    assert secrets == {
        "app_private_key of alipay/main": "C" * 64,
        "aes_key of alipay/main": "k" * 24,
    }


@pytest.mark.parametrize("place", ["logs/worker.log", "logs/api.log.1", "temporal/temporal.db-wal"])
def test_a_secret_in_a_file_is_found(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir()
    path.write_bytes(b"x" * 100_000 + PEM.encode())
    (path.parent / "empty.log").touch()
    secrets = {"a key": "C" * 64, "another": "Z" * 64}

    [found] = search_files(log_files(tmp_path), secrets)

    assert found.what == f"a key can be read in {path.name}"


def test_the_sandboxs_own_log_is_the_other_side_of_the_wire(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "sandbox.log").write_text(OPENID)

    assert search_files(log_files(tmp_path), {"an openid": OPENID}) == []
