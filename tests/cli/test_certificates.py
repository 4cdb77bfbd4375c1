from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cli.certificates import certificates


def write(file: Path, days: int) -> None:
    """A certificate that ends in so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1000))
        .not_valid_after(datetime.now(UTC) + timedelta(days=days, hours=1))
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize(("days", "good"), [(61, True), (59, False), (-1, False)])
def test_a_certificate_is_good_for_as_long_as_it_need_not_be_renewed(
    tmp_path: Path, days: int, good: object
) -> None:
    write(tmp_path / "temporal_client.crt", days)
    write(tmp_path / "unrelated.crt", -1)

    [finding] = certificates(tmp_path)
    assert finding.good is good
    assert f"{datetime.now(UTC) + timedelta(days=days):%Y-%m}" in finding.detail
    assert "--renew" in finding.advice


def test_a_broken_file_is_named_and_the_authority_has_a_way_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "temporal_server.crt").write_text("nonsense")
    write(tmp_path / "temporal_ca.crt", 1)

    authority, broken = certificates(tmp_path)
    assert (authority.good, broken.good) == (False, False)
    assert "a new authority" in authority.advice
    assert "temporal_server.crt" in broken.advice


def test_where_none_was_made_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert list(certificates(tmp_path / "none")) == []
