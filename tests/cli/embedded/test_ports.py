import json
import socket
from pathlib import Path

import pytest

from cli.embedded.errors import PortTakenError
from cli.embedded.ports import assign_ports, taken


def test_every_name_gets_a_port_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    first = assign_ports(["a", "b", "c"], {}, memory)

    assert len(set(first.values())) == 3
    assert assign_ports(["c", "a", "b"], {}, memory) == first


def test_a_remembered_port_that_is_taken_is_replaced(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    with socket.create_server(("127.0.0.1", 0)) as rival:
        taken = rival.getsockname()[1]
        memory.write_text(json.dumps({"a": taken, "gone": 1}))
        chosen = assign_ports(["a"], {}, memory)

    assert chosen["a"] != taken
    assert json.loads(memory.read_text()) == {"a": chosen["a"], "gone": 1}


def test_a_requested_port_goes_before_the_remembered_one(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    old = assign_ports(["a"], {}, memory)["a"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        told = free.getsockname()[1]

    assert told != old
    assert assign_ports(["a"], {"a": told}, memory) == {"a": told}


def test_a_requested_port_that_is_taken_is_rejected(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rival:
        taken = rival.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {taken} for a"):
            assign_ports(["a"], {"a": taken}, tmp_path / "ports.json")


def test_only_the_remembered_ports_in_use_are_named_as_taken(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    chosen = assign_ports(["a", "b"], {}, memory)

    with socket.create_server(("127.0.0.1", chosen["a"])):
        assert taken(memory) == {"a": chosen["a"]}
    assert taken(memory) == {}
    assert taken(tmp_path / "nothing.json") == {}
