"""The run as a table for the terminal and for the documents, and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from verification.benchmarks.bars import Bar
from verification.benchmarks.comparing import AT_ONCE, Compared, Figures
from verification.benchmarks.figures import Quantiles, Spread
from verification.benchmarks.flooding import ALONE, Flooding
from verification.benchmarks.open_payments import QUARTERS, OpenPayments
from verification.benchmarks.signing import Signing
from verification.benchmarks.starving import Starving

COMMAND = "make bench"
END = "<!-- end of figures -->"


@dataclass
class Report:
    """One run of `make bench`; parts that were left out are None."""

    machine: str
    date: str
    commit: str = "unknown"
    compared: Compared | None = None
    signing: Signing | None = None
    held: OpenPayments | None = None
    starved: Starving | None = None
    flooded: Flooding | None = None
    bars: list[Bar] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        """All of it."""
        content: dict[str, Any] = asdict(self)
        return json.dumps(content, indent=2, ensure_ascii=False)

    def markdown(self) -> str:
        """The tables."""
        parts = [f"{self.date}, {self.machine}, commit {self.commit}."]
        if self.compared:
            parts += [_noise(self.compared), _compared(self.compared), _cpu(self.compared)]
        if self.signing:
            parts.append(_signing(self.signing))
        if self.held:
            parts.append(_held(self.held))
        if self.starved:
            parts.append(_starved(self.starved))
        if self.flooded:
            parts.append(_flooded(self.flooded))
        bars = [
            [b["name"], b["wanted"], b["found"], "yes" if b["holds"] else "**no**"]
            for b in self.bars
        ]
        bars += [[name, "", "", "not measured"] for name in self.left_out]
        parts.append(table(["Bar", "Wanted", "Found", "Holds"], bars))
        return "\n\n".join(parts) + "\n"


def begin_of(command: str = COMMAND) -> str:
    """The mark before a command's figures; `END` is the one behind them."""
    return f"<!-- figures: {command} ARGS=--docs -->"


def write_into(document: Path, figures: str, command: str = COMMAND) -> None:
    """Replace the figures of a command in a document, between its marks. ValueError without."""
    begin = begin_of(command)
    text = document.read_text()
    head, mark, rest = text.partition(begin)
    _, end, tail = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{document} has no marks for the figures of {command}")
    document.write_text(f"{head}{begin}\n{figures}{END}{tail}")


def _noise(compared: Compared) -> str:
    noise = compared.noise
    if noise is None:
        return ""
    return (
        f"Noise: others took {_share(noise['foreign'])} of the {noise['cores']} cores during the"
        f" saturated rounds, the hypervisor {_share(noise['steal'])}; idle for the disk"
        f" {_share(noise['waiting'])}; load before the run {noise['load_before']}."
        f" Saturated: {AT_ONCE} payments at once."
        " Medians, with the range over the rounds in brackets."
    )


def _compared(compared: Compared) -> str:
    rows: list[list[object]] = [
        [name, *_row(figures)] for name, figures in compared.figures.items()
    ]
    for name, ratios in compared.ratios.items():
        rate = _spread(ratios["rate"])
        create = f"{ratios['create']}; {ratios['create_without_provider']} without the provider"
        rows.append(
            [f"{name} / floor", rate, create, "", ratios["acknowledge"], "", "", "", "", ""]
        )
    head = ["", "payments/s", "create ms p50 / p99", "provider ms", "acknowledge ms p50 / p99"]
    head += ["webhook ms p50", "events", "actions", "history bytes", "rows, bytes in our tables"]
    return table(head, rows)


def _row(figures: Figures) -> list[object]:
    provider, tables, history = figures["provider"], figures["tables"], figures["history"]
    return [
        _spread(figures["rate"]),
        _quantiles(figures["create"]),
        provider["p50"] if provider else "",
        _quantiles(figures["acknowledge"]),
        figures["webhook"]["p50"],
        history["events"],
        history["actions"],
        history["bytes"],
        f"{tables['rows']}, {tables['bytes']}" if tables else "",
    ]


def _cpu(compared: Compared) -> str:
    names = list(next(iter(compared.figures.values()))["cpu_ms"])
    rows = []
    for side, figures in compared.figures.items():
        spent = [figures["cpu_ms"][name] for name in names]
        over = compared.ratios.get(side)
        ratio = f"{over['cpu']}; {over['cpu_of_ours']}" if over else ""
        rows.append([side, *spent, round(sum(spent), 1), f"{figures['used']:.0%}", ratio])
    head = ["CPU ms per payment", *names, "sum", "of all cores"]
    return table([*head, "sum over the floor's; without sandbox and load"], rows)


def _signing(measured: Signing) -> str:
    ratios = {
        name: f"{ratio} ± {measured['noise'][name]}" for name, ratio in measured["ratios"].items()
    }
    rows = [
        [name, _spread(found["sign"]), _spread(found["verify"]), ratios.get(name, "")]
        for name, found in measured["rates"].items()
    ]
    head = ["RSA 2048 on one core", "signed /s", "verified /s", "ours over it, signing"]
    return table(head, rows)


def _held(held: OpenPayments) -> str:
    counts = [held["held"] * quarter // QUARTERS for quarter in range(1, QUARTERS + 1)]
    between: list[object] = [""] * (QUARTERS - 1)
    create = [_quantiles(held["create_before"]), *between, _quantiles(held["create"])]
    acknowledged = [
        _quantiles(held["acknowledge_before"]),
        *between,
        _quantiles(held["acknowledge"]),
    ]
    rows: list[list[object]] = [
        ["create ms p50 / p99", *create],
        ["acknowledge ms p50 / p99", *acknowledged],
    ]
    rows += [
        [f"{name} MB", *(found[name] for found in held["memory_mb"])]
        for name in held["memory_mb"][0]
    ]
    return table(["", "none open", *(f"{count} open" for count in counts)], rows)


def _starved(starved: Starving) -> str:
    rows = [
        ["Alipay is well", starved["well"]["n"], _quantiles(starved["well"])],
        ["Alipay hangs", starved["hanging"]["n"], _quantiles(starved["hanging"])],
    ]
    beside = f"WeChat Pay and UnionPay beside {starved['rate']:g}/s through Alipay"
    head = [beside, "creates", "create ms p50 / p99"]
    return table(head, rows)


def _flooded(flooded: Flooding) -> str:
    rows: list[list[object]] = [
        [
            phase,
            create["n"],
            _quantiles(create),
            _quantiles(flooded["acknowledge"][phase]),
            "" if phase == ALONE else _answers(flooded["answers"][phase]),
        ]
        for phase, create in flooded["create"].items()
    ]
    quiet = f"A merchant's {flooded['rate']:g}/s; the flood: {flooded['connections']} connections"
    head = [quiet, "creates", "create ms p50 / p99", "acknowledge ms p50 / p99"]
    return table([*head, "the flood's answers a second"], rows)


def _answers(found: dict[str, float]) -> str:
    return ", ".join(f"{status}: {rate:g}" for status, rate in found.items())


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _spread(found: Spread) -> str:
    return f"{found['median']:g} ({found['lowest']:g} to {found['highest']:g})"


def _quantiles(found: Quantiles) -> str:
    return f"{found['p50']:.0f} / {found['p99']:.0f}"


def _share(found: Spread) -> str:
    return f"{found['median']:.0%} ({found['lowest']:.0%} to {found['highest']:.0%})"
