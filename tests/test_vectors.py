"""Test vectors: every one against 40 digits by another road, the files, the command, and a consumer in JavaScript."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import mpmath as mp
import pytest

from dpmoracle import storage, vectors
from dpmoracle.vectors.values import decode, encode
from vector_truths import DIGITS, TRUTH, two_best

pytest.importorskip("typer")
from typer.testing import CliRunner

from dpmoracle.cli.app import app

ROOT = Path(__file__).parents[1]
CONSUMER = ROOT / "examples" / "vectors"
QUANTITIES = {quantity.name: quantity for quantity in vectors.QUANTITIES}
JSON_FILES = [
    "schedules.json",
    "formulas.json",
    "oracle.json",
    "steps.json",
    "trajectories.json",
    "negatives.json",
]
FILES = {*JSON_FILES, "schema.json", "README.md"}


@pytest.fixture(scope="module")
def seen() -> list[tuple[int, int]]:
    """What the progress of `made` told."""
    return []


@pytest.fixture(scope="module")
def made(seen: Any) -> dict[str, list[vectors.Vector]]:
    return vectors.make_vectors(lambda done, total, what: seen.append((done, total)))


@pytest.fixture(scope="module")
def texts(made: Any) -> dict[str, str]:
    return vectors.documents(made)


@pytest.fixture(scope="module")
def folder(texts: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors")
    vectors.write(path, texts, "-o")
    return path


def flat(value: Any) -> list[Any]:
    return [entry for part in value for entry in flat(part)] if isinstance(value, list) else [value]


def shape(value: Any) -> Any:
    return [shape(part) for part in value] if isinstance(value, list) else ()


def misses(vector: vectors.Vector, truth: Any) -> float:
    """The largest error over its tolerance; inf for another shape."""
    if shape(vector.expected) != shape(truth):
        return math.inf
    worst = 0.0
    for told, true in zip(flat(decode(vector.expected)), flat(truth)):
        if told == true:
            continue
        allowed = vector.tolerance["atol"] + vector.tolerance["rtol"] * abs(true)
        finite = mp.isfinite(true) and math.isfinite(told) and allowed > 0
        worst = max(worst, float(abs(told - true) / allowed) if finite else math.inf)
    return worst


def truth_of(vector: vectors.Vector) -> Any:
    with mp.workdps(DIGITS):
        return TRUTH[vector.quantity](**decode(vector.inputs))


# the numbers -------------------------------------------------------------------------------------------------


def test_every_quantity_has_a_truth() -> None:
    assert set(TRUTH) == set(QUANTITIES)
    assert len(QUANTITIES) == len(vectors.QUANTITIES)


@pytest.mark.parametrize("name", QUANTITIES)
def test_right_to_a_thousandth_of_the_tolerance(name: str) -> None:
    found = list(QUANTITIES[name].vectors())
    assert found
    for vector in found:
        assert misses(vector, truth_of(vector)) < 1e-3, vector.id  # measured at most 3e-4


@pytest.mark.parametrize("wrong", vectors.WRONG, ids=lambda wrong: f"{wrong.of.name}-{wrong.name}")
def test_a_mistake_is_far_from_the_truth(wrong: vectors.Wrong) -> None:
    right = {vector.id: vector for vector in wrong.of.vectors()}
    found = list(wrong.vectors())
    assert found
    for vector in found:
        assert vector.wrong is not None
        assert vector.inputs == right[vector.wrong["right"]].inputs
        truth = truth_of(vector)
        assert misses(vector, truth) > 1e3, vector.id
        assert shape(vector.expected) == shape(truth)
        pairs = [
            (told, true)
            for told, true in zip(flat(decode(vector.expected)), flat(truth))
            if mp.isfinite(true)
        ]
        largest = max(abs(true) for _, true in pairs)
        off = max(abs(told - true) for told, true in pairs)
        assert off >= (1 if isinstance(flat(vector.expected)[0], int) else largest / 1000), vector.id


def test_the_best_trajectories_are_unique() -> None:
    for vector in QUANTITIES["optimal_trajectory"].vectors():
        with mp.workdps(DIGITS):
            assert two_best(**decode(vector.inputs))[1] > 1e-7  # measured 7e-6 and more


# the files ---------------------------------------------------------------------------------------------------


def test_ids_are_unique_and_say_where_a_vector_stands(made: Any) -> None:
    ids = [vector.id for listed in made.values() for vector in listed]
    assert len(ids) == len(set(ids))
    assert all(
        vector.id.startswith("wrong/") == bool(vector.wrong) for listed in made.values() for vector in listed
    )
    assert all(vector.wrong for vector in made["negatives.json"])
    assert {"schedule", "formula", "oracle", "step", "trajectory"} == {q.kind for q in vectors.QUANTITIES}


def test_numbers_are_json_and_read_back(made: Any, texts: Any) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    assert set(texts) == FILES
    for name, listed in made.items():
        content = json.loads(texts[name], parse_constant=refuse)
        assert (content["format"], content["version"]) == (vectors.FORMAT, vectors.VERSION)
        for entry, vector in zip(content["vectors"], listed, strict=True):
            assert entry["expected"] == vector.expected
            again = encode(QUANTITIES[vector.quantity].compute(**decode(entry["inputs"])))
            assert vector.wrong or again == entry["expected"]
        digits = re.findall(r"(?<![\w.\"])-?(\d+(?:\.\d+)?)(?:e[-+]\d+)?(?=[],}])", texts[name])
        assert max(len(text.replace(".", "").strip("0")) for text in digits) <= 17


def test_infinities_have_names() -> None:
    values = [1.5, math.inf, [-math.inf, 3], {"a": math.inf, "kind": "linear"}]
    assert encode(values) == [1.5, "inf", ["-inf", 3], {"a": "inf", "kind": "linear"}]
    assert decode(encode(values)) == values
    assert math.isnan(decode(encode(math.nan)))


def test_sources_are_in_the_bibliography() -> None:
    known = set(re.findall(r"@\w+\{(\w+),", (ROOT / "references.bib").read_text(encoding="utf-8")))
    cited = {key for q in vectors.QUANTITIES for key in re.findall(r"\b[a-z]+\d{4}[a-z]*\b", q.source)}
    assert cited <= known


def test_the_schema_accepts_the_files_and_nothing_else(texts: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(texts["schema.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for name in JSON_FILES:
        validator.validate(json.loads(texts[name]))

    def refuses(name: str, change: Any) -> bool:
        content = json.loads(texts[name])
        content["vectors"] = content["vectors"][:1]
        change(content, content["vectors"][0])
        return not validator.is_valid(content)

    assert not refuses("formulas.json", lambda content, vector: None)
    for change in (
        lambda content, vector: content.update(version=2),
        lambda content, vector: content.update(more=1),
        lambda content, vector: content.pop("program"),
        lambda content, vector: vector.pop("tolerance"),
        lambda content, vector: vector["tolerance"].update(rtol=-1),
        lambda content, vector: vector.update(expected="Infinity"),
        lambda content, vector: vector.update(expected=[]),
        lambda content, vector: vector.update(quantity="gamma"),
        lambda content, vector: vector.update(kind="oracle"),
        lambda content, vector: vector.update(wrong={"why": "x"}),
        lambda content, vector: vector["inputs"].pop("t"),
        lambda content, vector: vector["inputs"].update(u=1),
        lambda content, vector: (
            vector["inputs"].update(t="nowhere") or vector["inputs"]["schedule"].pop("kind")
        ),
        lambda content, vector: vector.update(id="with a blank"),
    ):
        assert refuses("formulas.json", change)
    assert refuses("oracle.json", lambda content, vector: vector["inputs"]["mixture"].pop("weights"))


def test_the_readme_tells_of_everything(made: Any, texts: Any) -> None:
    text = texts["README.md"]
    assert text.splitlines()[0] == f"# {vectors.FORMAT}, version {vectors.VERSION}"
    for quantity in vectors.QUANTITIES:
        assert text.count(f"- **`{quantity.name}`** ") == 1
        assert all(f"`{name}`" in text for name in quantity.inputs)
    for wrong in vectors.WRONG:
        assert f"- **`{wrong.of.name}`**, {wrong.name}: {wrong.why}\n" in text
    for name, listed in made.items():
        assert f"## {name}, {len(listed)} vectors" in text
    assert "{" not in re.sub(r"[_βα^]\{[^}]*\}|[τ_]\{[^}]*\}", "", text)


# the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, made: Any) -> None:
    """The command with vectors that are made already."""
    monkeypatch.setattr(vectors, "make_vectors", lambda progress: made)


def run(*args: str) -> Any:
    return CliRunner().invoke(app, ["vectors", *args])


def refused(result: Any, words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert re.fullmatch(rf"dpmoracle vectors: [^\n]*{words}[^\n]*\n", result.stderr), result.stderr


def test_the_command_writes_the_same_bytes_again_and_counts(texts: Any, tmp_path: Path) -> None:
    result = run("-o", str(tmp_path / "new"))
    assert result.exit_code == 0, result.output
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new").iterdir()} == texts
    total, wrong = re.search(r"(\d+) vectors, (\d+) of them negative", result.stdout).groups()
    counts = {Path(name).name: int(n) for n, name in re.findall(r"^ *(\d+)  (\S+)$", result.stdout, re.M)}
    assert set(counts) == set(JSON_FILES)
    assert (sum(counts.values()), counts["negatives.json"]) == (int(total), int(wrong))


@pytest.mark.usefixtures("quick")
def test_our_files_are_replaced_and_others_are_not(texts: Any, tmp_path: Path) -> None:
    assert run("-o", str(tmp_path)).exit_code == 0
    (tmp_path / "oracle.json").write_text('{"format": "dpmoracle.vectors",\n"version": 0}')
    (tmp_path / "notes.txt").write_text("mine")
    assert run("-o", str(tmp_path)).exit_code == 0
    assert (tmp_path / "oracle.json").read_text(encoding="utf-8") == texts["oracle.json"]
    (tmp_path / "README.md").write_text("# My project\n")
    (tmp_path / "schema.json").write_text("{}")
    result = run("-o", str(tmp_path))
    refused(result, "files of other origin that would be replaced: schema.json, README.md.*--force")
    assert (tmp_path / "README.md").read_text() == "# My project\n"
    assert run("-o", str(tmp_path), "--force").exit_code == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == texts["README.md"]
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "notes.txt"}


def test_a_folder_that_cannot_be_is_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never(progress: Any) -> None:
        raise AssertionError("made before the folder was checked")

    monkeypatch.setattr(vectors, "make_vectors", never)
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    Path("taken").mkdir()
    Path("taken/README.md").mkdir()
    refused(run("-o", "no/such"), "-o: cannot write 'no/such'.*does not exist")
    refused(run("-o", "file"), "-o: 'file' must be a folder; it is a file")
    refused(run("-o", "file/below"), "-o: cannot write 'file/below'")
    refused(run("-o", "taken"), "README.md' names a folder")
    refused(run("-o", "/proc"), "-o: cannot write '/proc/schedules.json'")
    refused(run("-o", ""), "-o must name a folder; got an empty name")
    assert run().exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"]


def test_ctrl_c_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(progress: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(vectors, "make_vectors", interrupted)
    result = run("-o", str(tmp_path / "new"))
    assert (result.exit_code, result.stderr) == (130, "dpmoracle vectors: interrupted\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "write_text", full)
    refused(run("-o", str(tmp_path / "new")), "No space left")


@pytest.mark.usefixtures("made")
def test_progress_runs_through_all_quantities(seen: Any) -> None:
    total = len(vectors.QUANTITIES) + len(vectors.WRONG)
    assert seen == [(done, total) for done in range(total + 1)]


# another language --------------------------------------------------------------------------------------------

needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="the consumer is JavaScript: node is missing"
)


def consume(scripts: Path, folder: Path) -> tuple[int, dict[str, int], str]:
    done = subprocess.run(
        ["node", str(scripts / "consumer.mjs"), str(folder)], capture_output=True, text=True, timeout=60
    )
    found = re.search(r"(\d+) passed, (\d+) failed, (\d+) skipped", done.stdout)
    counts = dict(zip(("passed", "failed", "skipped"), map(int, found.groups()))) if found else {}
    return done.returncode, counts, done.stdout + done.stderr


@needs_node
def test_the_consumer_passes(made: Any, folder: Path) -> None:
    code, counts, output = consume(CONSUMER, folder)
    assert (code, counts["failed"]) == (0, 0), output
    assert sum(counts.values()) == sum(map(len, made.values()))
    assert counts["passed"] >= 150
    assert len((CONSUMER / "consumer.mjs").read_text(encoding="utf-8").splitlines()) <= 45


@needs_node
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1 - beta(k + 1)", "1 - beta(k)"),
        ("/ (1 + s)) * (PI / 2)", ") * (PI / 2)"),
        ("return lam2 + c ** 2", "return lam2 + c"),
        ("sqrt(1 - p - lam2)", "sqrt(1 - p)"),
        ("a * a * s + sigma * sigma", "a * s + sigma * sigma"),
        ("away(i, k) ** 2 / w + log(w)", "away(i, k) ** 2 / w"),
        ("(value + s * s * slope[k]) / a", "value + s * s * slope[k]"),
        ("-s * slope[k]", "s * slope[k]"),
        ("b * x0(value, output[k])", "a * x0(value, output[k])"),
        ("(data ? -j : j) * m[j - 1]", "(data ? j : -j) * m[j - 1]"),
        ("m[2] + (lam[0] - lam[1]) * m[1]", "m[2]"),
        ("...nodes[i], at)", "...nodes[i + 1], at)"),
    ],
)
def test_the_consumer_sees_a_broken_sampler(folder: Path, tmp_path: Path, old: str, new: str) -> None:
    shutil.copy(CONSUMER / "consumer.mjs", tmp_path)
    source = (CONSUMER / "sampler.mjs").read_text(encoding="utf-8")
    assert source.count(old) == 1
    (tmp_path / "sampler.mjs").write_text(source.replace(old, new), encoding="utf-8")
    code, counts, output = consume(tmp_path, folder)
    assert (code, counts.get("failed", 0) > 0) == (1, True), output


@needs_node
def test_the_common_third_order_is_caught_by_name(folder: Path, tmp_path: Path) -> None:
    """Half of the second-order term: the negative vectors say what it is."""
    shutil.copy(CONSUMER / "consumer.mjs", tmp_path)
    source = (CONSUMER / "sampler.mjs").read_text(encoding="utf-8")
    old = "m[2] + (lam[0] - lam[1]) * m[1]"
    (tmp_path / "sampler.mjs").write_text(
        source.replace(old, "m[2] / 2 + (lam[0] - lam[1]) * m[1]"), encoding="utf-8"
    )
    output = consume(tmp_path, folder)[2]
    assert "FAILED wrong/multistep_step/common/data-3-taylor" in output
    assert "FAILED wrong/solve_multistep/common/noise-3" in output


@needs_node
def test_the_consumer_sees_changed_vectors(texts: Any, tmp_path: Path) -> None:
    vectors.write(tmp_path, texts, "-o")
    changed = json.loads(texts["oracle.json"])
    for vector in changed["vectors"]:
        if vector["quantity"] == "score":
            vector["expected"][0][0] *= 1 + 1e-6
    (tmp_path / "oracle.json").write_text(json.dumps(changed))
    code, counts, _ = consume(CONSUMER, tmp_path)
    assert code == 1
    assert counts["failed"] == sum(
        vector["quantity"] == "score" and vector["inputs"]["mixture"]["covariance_type"] == "diag"
        for vector in changed["vectors"]
    )
    (tmp_path / "oracle.json").write_text(json.dumps({**changed, "version": 2}))
    code, _, output = consume(CONSUMER, tmp_path)
    assert code != 0
    assert "oracle.json: another version" in output
