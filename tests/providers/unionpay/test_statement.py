"""The settlement file: the published sample to the fen, and files that nobody may believe."""

import base64
import random
import zlib
from datetime import timedelta
from pathlib import Path
from zipfile import ZIP_BZIP2, ZipFile

import pytest

from providers.unionpay import statement
from providers.unionpay.statement import Statement, read_statement
from providers.unionpay.wire import Malformed, stamp
from tests.providers.unionpay.settlement import MER_ID, NAME, detail, file_content, row, zipped


def read(*rows: bytes) -> Statement:
    return read_statement(zipped(detail(*rows)))


def refused(content: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        read_statement(content)
    return str(caught.value)


@pytest.fixture
def sample(vectors: Path) -> bytes:
    return (vectors / "recon_802310048993424_20150905.zip").read_bytes()


def test_the_published_file_is_read_to_the_fen(sample: bytes) -> None:
    read = read_statement(sample)

    assert (read.merchant_id, read.day, len(read.lines)) == (MER_ID, "20150905", 8)
    assert sum(line.amount for line in read.lines) == 1322700
    assert sum(line.fee for line in read.lines) == 7936
    assert sum(line.settled for line in read.lines) == 1314764
    first = read.lines[0]
    assert (first.trace_no, first.card) == ("190624", "622609******0048")
    assert (first.query_id, first.order_id) == ("201509061122031906248", "10078087")
    assert (first.type, first.sub_type, first.original_query_id) == ("01", "", "")
    assert (stamp(first.at), first.at.utcoffset()) == ("20150906112203", timedelta(hours=8))


def test_the_answers_file_content_is_the_same_file(sample: bytes) -> None:
    assert read_statement(file_content(sample) + b"\n") == read_statement(sample)


def test_the_published_codec_is_ours() -> None:
    assert "the ZIP cannot be read" in refused(b"eJwrSS0uiU9JLEkEABL5A7o=")  # test_data


def test_a_refund_counts_the_other_way_round() -> None:
    original = "201509041200000000078"
    [line] = read(
        row(c16="C000000000006", c17="D000000000994", c20="04", c21="00", c27=original)
    ).lines

    assert (line.fee, line.settled) == (-6, -994)
    assert (line.type, line.sub_type, line.original_query_id) == ("04", "00", original)


def test_a_zero_may_have_no_side_and_an_order_no_number() -> None:
    [line] = read(row(c16=f" {0:012d}", c12="")).lines

    assert (line.fee, line.order_id) == (0, "")


def test_chinese_counts_two_bytes_a_character_and_may_be_cut() -> None:
    whole = row(c35="淘在路上淘在路上淘在路上淘在路上")
    cut = whole.replace("上淘".encode("gbk"), b"x" + "上淘".encode("gbk")[:3])

    assert len(whole) == len(cut) == statement.LINE_WIDTH
    assert read(whole).lines == read(cut).lines == read(row()).lines


def test_a_day_without_lines_is_a_statement() -> None:
    assert read() == Statement(MER_ID, "20150905", ())


def test_the_year_is_that_of_the_settlement_day_also_at_new_year() -> None:
    lines = detail(row(1, c5="1231231500"), row(2, c5="0101100000"))
    read = read_statement(zipped(lines, f"INN16010188ZM_{MER_ID}"))

    assert [stamp(line.at) for line in read.lines] == ["20151231231500", "20160101100000"]


def test_no_card_is_in_what_is_logged() -> None:
    assert "622609" not in repr(read(row()))


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (row()[:-1], "it has 606 bytes, not 607"),
        (row() + b" ", "it has 608 bytes, not 607"),
        (b"", "it has 0 bytes, not 607"),
        (row().replace(b"S56 ", b"S56x"), "a column is wider than it may be"),
        (row(c7="00000000-100"), "its amount has another form"),
        (row(c7="１２３４５６"), "its amount has another form"),
        (row(c7=""), "its amount has another form"),
        (row(c5="0230120000"), "its time is none"),
        (row(c10="1"), "its query id has another form"),
        (row(c12="[red]"), "its order id has another form"),
        (row(c16="X000000000001"), "its fee has another form"),
        (row(c17=" 000000000001"), "its settled amount has another form"),
        (row(c20=""), "its transaction type has another form"),
        (row(c28="802310048993425"), "it is another merchant's"),
        (row(1), "query id 201509051200000000018 came before"),
    ],
)
def test_a_bad_line_is_named_by_its_number(bad: bytes, what: str) -> None:
    assert refused(zipped(detail(row(1), bad, row(3)))) == f"line 2: {what}"


def test_a_file_that_ends_inside_a_line_is_rejected() -> None:
    assert refused(zipped(detail(row(1), row(2))[:-2])) == "line 2: it ends too early"
    assert refused(zipped(detail(row(1)).replace(b"\r\n", b"\n"))) == "line 1: it ends too early"


@pytest.mark.parametrize("name", ["notes.txt", f"INN15090588ZME_{MER_ID}", "INN15090588ZM_1", "ZM"])
def test_without_the_detail_there_is_no_statement(name: str) -> None:
    assert "it has 0 ZM entries" in refused(zipped(detail(row()), name))


def test_of_two_details_none_is_believed() -> None:
    two = zipped(detail(row()), others={f"INN15090688ZM_{MER_ID}": b""})

    assert "it has 2 ZM entries" in refused(two)


def test_a_name_without_a_day_is_rejected() -> None:
    assert "names no day" in refused(zipped(b"", f"INN15023088ZM_{MER_ID}"))


def test_other_entries_do_not_matter() -> None:
    read = read_statement(zipped(detail(row()), others={"RD20": "交易".encode("gbk")}))

    assert len(read.lines) == 1


def test_bombs_are_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "LARGEST_FILE", 10_000)
    monkeypatch.setattr(statement, "LARGEST_STATEMENT", 100_000)

    assert "inflates to more than 10000" in refused(file_content(bytes(2_000_000)))
    assert "more than 100000 bytes" in refused(zipped(bytes(5_000_000)))
    assert "the file has more than 10000 bytes" in refused(bytes(10_001))


def test_a_bomb_that_lies_about_its_size_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "LARGEST_STATEMENT", 100_000)
    size = 5_000_000
    bomb = zipped(bytes(size)).replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))

    assert "the ZIP cannot be read" in refused(bomb)


def test_many_entries_are_rejected() -> None:
    many = {f"note{number}": b"" for number in range(statement.MOST_ENTRIES)}

    assert "more than 16 entries" in refused(zipped(detail(row()), others=many))


def test_another_compression_is_rejected(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "bzip2.zip", "w", ZIP_BZIP2) as archive:
        archive.writestr(NAME, detail(row()))

    assert "not a deflated one" in refused((tmp_path / "bzip2.zip").read_bytes())


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"no base64!", base64.b64encode(b"no zlib"), b"\xff\xfe", b"eJw="]
)
def test_what_is_no_file_is_rejected(content: bytes) -> None:
    refused(content)


def test_a_truncated_file_is_rejected_wherever_it_ends(sample: bytes) -> None:
    for end in range(0, len(sample), 7):
        refused(sample[:end])
    packed = zlib.compress(sample)
    for end in range(0, len(packed), 7):
        refused(base64.b64encode(packed[:end]))


def test_a_broken_file_is_read_rightly_or_rejected(sample: bytes) -> None:
    true, draw = read_statement(sample), random.Random(7)  # noqa: S311 - no secret
    for _ in range(500):
        broken = bytearray(sample)
        broken[draw.randrange(2, len(broken))] ^= 1 << draw.randrange(8)
        try:
            assert read_statement(bytes(broken)).lines == true.lines
        except Malformed:
            continue
