"""Every key that a docstring, a claim or the README cites stands in references.bib, with what a reader needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dpmoracle.claims import all_claims

ROOT = Path(__file__).resolve().parents[1]
KEY = re.compile(r"\b[a-z]{2,}(?:19|20)\d{2}[a-z]*\b")
ENTRY = re.compile(r"^@(\w+)\{(\w+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^\s+(\w+)\s*=\s*\{(.*)\},$", re.MULTILINE)
PLACE = {"journal", "booktitle", "publisher", "institution", "eprint"}


def entries():
    text = (ROOT / "references.bib").read_text(encoding="utf-8")
    found = [(key, dict(FIELD.findall(body))) for _, key, body in ENTRY.findall(text)]
    assert len(found) == text.count("\n@")
    return found


def known():
    return {name for key, fields in entries() for name in (key, *fields.get("ids", "").split(", ")) if name}


def cited_in(text):
    return set(KEY.findall(text))


def sources():
    folders = [ROOT / "reference", ROOT / "kernels", ROOT / "benchmarks"]
    files = [path for folder in folders for ending in ("*.py", "*.cu") for path in folder.rglob(ending)]
    return files + [path for path in (ROOT / "README.md", ROOT / "CHANGELOG.md") if path.exists()]


def test_every_citation_has_its_entry():
    missing = {
        str(path.relative_to(ROOT)): sorted(lost)
        for path in sources()
        if (lost := cited_in(path.read_text(encoding="utf-8")) - known())
    }
    assert not missing


@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.id)
def test_every_claim_names_its_source(claim):
    cited = cited_in(f"{claim.source} {claim.road}")
    assert cited <= known()
    assert cited_in(claim.source) or re.search(r"notes|derived here|Tweedie", claim.source)


def test_a_key_without_an_entry_is_seen():
    assert cited_in("[bao2023, Theorem 1; song2021ddim]") - known() == {"bao2023"}


def test_entries_are_unique_ordered_and_whole():
    keys = [key for key, _ in entries()]
    assert keys == sorted(set(keys))
    for key, fields in entries():
        assert {"author", "title", "year"} <= fields.keys(), key
        assert fields["year"] in key
        assert fields.keys() & PLACE, key
        assert (
            fields["author"].split(",")[0].lower() == re.match(r"[a-z]+", key)[0] or "\\" in fields["author"]
        )
