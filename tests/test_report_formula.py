"""LaTeX as MathML: every claim is drawn, by its tree; what is not known stays code; nothing escapes."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle.claims import all_claims
from dpmoracle.report import formula
from dpmoracle.report.formula import formula_html


def tree(latex: str) -> ElementTree.Element:
    return ElementTree.fromstring(formula_html(latex).replace("&nbsp;", "\u00a0"))


def plain(latex: str) -> str:
    """The characters that are shown, without spaces."""
    return re.sub(r"\s", "", "".join(tree(latex).itertext()))


def shape(element: ElementTree.Element) -> str:
    """The tree as one line: name(children), the text in leaves."""
    inside = "".join(shape(child) + (child.tail or "") for child in element)
    return f"{element.tag}({(element.text or '') + inside})"


def test_every_claim_is_drawn() -> None:
    for claim in all_claims():
        drawn = tree(claim.statement)
        assert drawn.tag == "span", claim.statement
        assert drawn.get("title") == claim.statement
        assert "\\" not in plain(claim.statement)


def reads(latex: str, wanted: str) -> bool:
    """Whether the only <math> of a formula has this shape."""
    (math,) = tree(latex)
    return "".join(map(shape, math)) == wanted


SHAPES = {
    r"x": "mi(x)",
    r"12.5": "mn(12.5)",
    r"\bar\alpha_s": "msub(mover(mi(α)mo(¯))mrow(mi(s)))",
    r"\sigma_n^{*2}": "msubsup(mi(σ)mrow(mi(n))mrow(mrow(mo(∗)mn(2))))",
    r"\lambda^2_n": "msubsup(mi(λ)mrow(mi(n))mrow(mn(2)))",
    r"f''": "msup(mi(f)mrow(mo(′)mo(′)))",
    r"\tfrac12": "mfrac(mn(1)mrow(mn(2)))",
    r"\frac{b-a}2": "mfrac(mrow(mi(b)mo(−)mi(a))mrow(mn(2)))",
    r"\sqrt{\bar\beta_s}": "msqrt(mrow(msub(mover(mi(β)mo(¯))mrow(mi(s)))))",
    r"\sqrt\kappa": "msqrt(mrow(mi(κ)))",
    r"x_10": "msub(mi(x)mrow(mn(1)))mn(0)",
    r"\mathbb E": "mi(𝔼)",
    r"\mathbb{E}": "mi(𝔼)",
    r"\|x\|": "mo(‖)mi(x)mo(‖)",
    r"\log q": "mi(log)mspace()mi(q)",
    r"\log(q)": "mi(log)mo(()mi(q)mo())",
    r"\operatorname{Cov}(x)": "mi(Cov)mo(()mi(x)mo())",
    r"\bigl(x\bigr)": "mo(()mi(x)mo())",
    r"\text{median}_n": "msub(mtext(median)mrow(mi(n)))",
    r"\int_0^\infty": "msubsup(mo(∫)mrow(mn(0))mrow(mi(∞)))",
    r"(a\text{ or } b)": "mo(()mi(a)mtext(\u00a0or\u00a0)mi(b)mo())",
}


@pytest.mark.parametrize("latex", SHAPES)
def test_trees(latex: str) -> None:
    assert reads(latex, SHAPES[latex])


def test_a_line_breaks_before_relations_and_within_text_but_never_within_brackets() -> None:
    drawn = tree(r"a=b+(c=d-e)\ \text{for every $\beta$ and }f'")
    assert ["".join(piece.itertext()) for piece in drawn] == ["a", "=b", "+(c=d−e)", "β", "f′"]
    assert [piece.tail or "" for piece in drawn] == ["", "", " for every ", " and ", ""]


def test_a_sign_keeps_its_space_though_it_begins_a_piece() -> None:
    signs = tree("a=b-c").iter("mo")
    assert [mo.get("form") for mo in signs] == ["infix", "infix"]


@pytest.mark.parametrize(
    "latex",
    [
        r"\unknown", r"\frac1", r"x^", r"{x", r"x}", r"\sqrt", r"\text{a", r"\text{\alpha}", r"a&b", r"a$b", "a#b",
        r"\mathbb Q", r"\bar", r"x^}", r"\bigl", "\\", r"\begin{matrix}a\end{matrix}", r"a\\b", "~",
    ],
)  # fmt: skip
def test_what_is_not_known_stays_code(latex: str) -> None:
    drawn = tree(latex)
    assert (drawn.tag, drawn.text, len(drawn)) == ("code", latex, 0)


KNOWN = {"span", "code", "math", "mi", "mn", "mo", "mrow", "mtext", "mspace", "mover", "msqrt", "mfrac"} | {
    "msub", "msup", "msubsup",
}  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [*r"\{}^_$&<>'x1 +-=(|", '"', r"\text{", r"\frac", r"\sqrt", r"\bar", r"\log ", r"\bigl"]
        ),
        max_size=20,
    ).map("".join)
)
def test_anything_is_well_formed_and_of_known_elements(latex: str) -> None:
    drawn = tree(latex)
    assert {element.tag for element in drawn.iter()} <= KNOWN
    if drawn.tag == "code":
        assert "".join(drawn.itertext()) == latex
    shown = "".join(drawn.itertext())
    for character in "<>&":  # none is lost, none becomes markup
        assert shown.count(character) == latex.count(character)


def test_broken_translations_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mutant makes one of the shapes above wrong."""
    for name, key, wrong in (
        ("_ACCENTS", "bar", "^"),
        ("_LETTERS", "sigma", "ς"),
        ("_OPERATORS", "|", "|"),
        ("_CHARACTERS", "-", "-"),
        ("_CHARACTERS", "*", "×"),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(getattr(formula, name), key, wrong)
            assert not all(reads(latex, wanted) for latex, wanted in SHAPES.items()), (name, key)
