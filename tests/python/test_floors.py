"""The floor check passes on the tree, and sees what it should."""

from __future__ import annotations

from pathlib import Path

import pytest
from floors import ROOT, violations


def test_tree_is_clean() -> None:
    assert violations(ROOT / "csrc") == []


def _tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_lower_floors_are_seen(tmp_path: Path) -> None:
    files = {
        "base/a.h": "#include <vector>\n",
        "graph/g.h": '#include "base/a.h"\n',
        "graph/other.cc": '#include "graph/g.h"\n',
        "ops/o.cc": '#include "graph/g.h"\n#include "kernels/k/k.h"\n',
        "kernels/k/k.h": "#include <cstdint>\n",
        "kernels/k/x86_avx2.cc": '#include <immintrin.h>\n#include "kernels/k/k.h"\n',
    }
    assert violations(_tree(tmp_path, files)) == []


@pytest.mark.parametrize(
    ("file", "include"),
    [
        ("base/a.cc", '"graph/g.h"'),  # higher
        ("graph/a.cc", '"kernels/k/k.h"'),  # beside
        ("kernels/k/a.cc", '"graph/g.h"'),  # beside
        ("passes/a.cc", '"kernels/k/k.h"'),  # lower, but kept from passes
        ("ops/a.cc", '"plan/p.h"'),  # next higher
        ("plan/a.cc", '  # include "model/m.h"'),  # however it is spelled
        ("model/a.cc", '"g.h"'),  # not a path from csrc/
        ("attic/a.cc", "<vector>"),  # no floor
        ("kernels/k/x86_avx2.cc", "<algorithm>"),
        ("kernels/k/x86_avx2.cc", '"base/b.h"'),
        ("kernels/k/x86_avx2.cc", '"kernels/k/inline.h"'),  # which includes <vector>
    ],
)
def test_violation_is_found(tmp_path: Path, file: str, include: str) -> None:
    files = {
        "base/b.h": "",
        "graph/g.h": "",
        "plan/p.h": "",
        "model/m.h": "",
        "kernels/k/k.h": "",
        "kernels/k/inline.h": "#include <vector>\n",
    }
    line = include if include.lstrip().startswith("#") else f"#include {include}"
    found = violations(_tree(tmp_path, {**files, file: line + "\n"}))
    assert len(found) == 1
    assert found[0].startswith(file)
