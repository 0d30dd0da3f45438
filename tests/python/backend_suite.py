"""Run ONNX's backend suite through `quaver.backend`, and write docs/operators.md.

    python tests/python/backend_suite.py            # a summary
    python tests/python/backend_suite.py --write    # docs/operators.md, too
    python tests/python/backend_suite.py --case test_abs

The cases run in processes of their own, so that one that ends its process fails alone.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test import loader
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.runner import Runner

TABLE = Path(__file__).parents[2] / "docs" / "operators.md"
KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")


@dataclass(frozen=True)
class Outcome:
    """What became of one case: `reason` is empty where it passed."""

    name: str
    operators: tuple[str, ...]
    reason: str
    bound: int = 0  # inputs that were bound as constants
    whole: bool = False  # all of them
    host: bool = False  # a part ran on the host

    @property
    def passed(self) -> bool:
        return not self.reason


def cases() -> list[TestCase]:
    """All cases, in an order that does not depend on the machine."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # the suite provokes infinities while it makes its data
        return [
            case
            for kind in KINDS
            for case in sorted(loader.load_model_tests(kind=kind), key=lambda case: case.name)
        ]


def _stored(path: Path, kind: onnx.TypeProto) -> object:
    reader = {
        "sequence_type": (onnx.SequenceProto, numpy_helper.to_list),
        "optional_type": (onnx.OptionalProto, numpy_helper.to_optional),
    }.get(kind.WhichOneof("value"), (onnx.TensorProto, numpy_helper.to_array))
    proto = reader[0]()
    proto.ParseFromString(path.read_bytes())
    return reader[1](proto)


def _as_array(item: object) -> object:
    return numpy_helper.to_array(item) if isinstance(item, onnx.TensorProto) else item


def _data(case: TestCase) -> tuple[onnx.ModelProto, Iterator[tuple[list, list]]]:
    if case.model_dir is None:
        sets = (([*map(_as_array, x)], [*map(_as_array, y)]) for x, y in case.data_sets)
        return case.model, sets
    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx")

    def read(directory: Path, prefix: str, infos: Sequence[onnx.ValueInfoProto]) -> list[object]:
        count = len(list(directory.glob(f"{prefix}_*.pb")))
        return [_stored(directory / f"{prefix}_{i}.pb", infos[i].type) for i in range(count)]

    return model, (
        (read(d, "input", model.graph.input), read(d, "output", model.graph.output))
        for d in sorted(folder.glob("test_data_set*"))
    )


def _operators(model: onnx.ModelProto) -> tuple[str, ...]:
    names = {".".join(filter(None, [n.domain, n.op_type])) for n in model.graph.node}
    return tuple(sorted(names))


def run(case: TestCase) -> Outcome:
    """Run one case as ONNX's own runner does, with the suite's tolerances."""
    from quaver import backend

    model, data_sets = _data(case)
    operators = _operators(model)
    bound = total = 0
    host = False
    try:
        prepared = backend.prepare(model)
        for inputs, expected in data_sets:
            outputs = prepared.run(inputs)
            bound, total = max(bound, len(prepared.bound)), len(inputs)
            host = host or "host" in prepared.kinds
            Runner.assert_similar_outputs(expected, outputs, case.rtol, case.atol)
    except Exception as error:  # whatever it is, it is this case's
        return Outcome(case.name, operators, _reason(error))
    return Outcome(case.name, operators, "", bound, 0 < bound == total, host)


def _reason(error: Exception) -> str:
    if isinstance(error, AssertionError):
        return "other results: " + " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: " + " ".join(str(error).split())[:300]


def _worker(first: int) -> None:
    for case in cases()[first:]:
        print(json.dumps(asdict(run(case))), flush=True)


def _spawn(first: int) -> Iterator[Outcome]:
    command = [sys.executable, __file__, "--from", str(first)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            record = json.loads(line)
            yield Outcome(**record | {"operators": tuple(record["operators"])})


def run_all() -> list[Outcome]:
    """Run the whole suite, whatever a case does to its process."""
    everything = cases()
    outcomes: list[Outcome] = []
    while len(outcomes) < len(everything):
        outcomes += _spawn(len(outcomes))
        if len(outcomes) < len(everything):
            case = everything[len(outcomes)]
            outcomes.append(Outcome(case.name, _operators(_data(case)[0]), "ends the process"))
    return outcomes


def grouped(outcomes: Sequence[Outcome]) -> list[tuple[str, list[str]]]:
    """Failing cases by reason, the most frequent first; names and numbers in a reason set aside."""
    groups = defaultdict(list)
    for outcome in outcomes:
        if not outcome.passed:
            groups[_kind(outcome.reason)].append(outcome.name)
    return sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))


def _kind(reason: str) -> str:
    if reason.startswith("other results"):
        return "other results"
    missing = re.search(r"operators? (?:is|are) not supported: (.*)", reason)
    if missing:
        names = re.findall(r"(?:^| )([\w.]+): '", missing[1])
        return "no operator " + ", ".join(names)
    reason = re.sub(r"^\w+Error: ", "", reason)
    reason = re.sub(r"'[^']*'", "…", reason)
    reason = re.sub(r"\[[^\]]*\]|-?\d+(\.\d+)?", "…", reason)
    return reason.strip()[:110]


def report(outcomes: Sequence[Outcome]) -> str:
    """The page docs/operators.md."""
    passed = sum(o.passed for o in outcomes)
    free = sum(o.passed and not o.bound for o in outcomes)
    whole = sum(o.passed and o.whole for o in outcomes)
    hosted = sum(o.passed and o.host for o in outcomes)
    lines = [
        "# ONNX's operators",
        "",
        "Made by `python tests/python/backend_suite.py --write` from the conformance suite of",
        f"onnx {onnx.__version__}; do not edit. {passed} of {len(outcomes)} cases pass"
        " without another runtime.",
        "",
        f"{free} of them run with all their inputs open. In the other {passed - free}",
        "weights, scales or the like are inputs, and bound as constants for the run, as",
        f"`quaver.load(..., constants=...)` does it; in {whole} of these that is every",
        f"input the case has. In {hosted} a part runs on the host, in NumPy",
        "([stages.md](stages.md)): control flow, sizes by contents, strings, sequences,",
        "8-bit floats, convolutions of computed weights.",
        "",
        "## By operator",
        "",
        "A case counts for each operator in it.",
        "",
        "| operator | pass | of |",
        "| --- | ---: | ---: |",
    ]
    total: Counter[str] = Counter()
    good: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.operators)
        good.update(outcome.operators if outcome.passed else ())
    lines += [f"| {name} | {good[name]} | {total[name]} |" for name in sorted(total)]
    lines += ["", "## What does not pass, and why", ""]
    for reason, names in grouped(outcomes):
        lines.append(f"- {reason} ({len(names)}): {', '.join(names)}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/operators.md")
    parser.add_argument("--case", help="run the cases whose names match this pattern")
    parser.add_argument("--from", type=int, dest="first", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="write all outcomes there")
    options = parser.parse_args()
    if options.first is not None:
        return _worker(options.first)
    if options.case:
        for case in cases():
            if re.search(options.case, case.name):
                outcome = run(case)
                print(outcome.name, outcome.reason or f"passes, {outcome.bound} bound")
        return None
    outcomes = run_all()
    if options.json:
        options.json.write_text(json.dumps([asdict(o) for o in outcomes]))
    if options.write:
        TABLE.write_text(report(outcomes))
    for reason, names in grouped(outcomes)[:60]:
        print(f"{len(names):5} {reason}   {names[0]}")
    print(sum(o.passed for o in outcomes), "of", len(outcomes))
    return None


if __name__ == "__main__":
    main()
