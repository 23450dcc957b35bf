"""The README's Python runs and prints what the README says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", README, flags=re.S)


@pytest.mark.parametrize(("code", "printed"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_example(code: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = io.StringIO()
    with contextlib.redirect_stdout(seen):
        exec(compile(code, "README.md", "exec"), {})
    assert seen.getvalue() == printed


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 1
