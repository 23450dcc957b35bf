r"""LaTeX as MathML, which browsers draw themselves: the part of LaTeX in which claims are stated.

At the top level a formula comes in pieces, so that a line can break before a relation or a sum and within text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

__all__ = ["formula_html"]

_TOKEN = re.compile(r"\s*(\\(?:[A-Za-z]+|.)|\d+(?:\.\d+)?|.|$)", re.DOTALL)

_LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "eta": "η", "kappa": "κ",
    "lambda": "λ", "mu": "μ", "xi": "ξ", "pi": "π", "sigma": "σ", "tau": "τ", "varphi": "φ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Sigma": "Σ", "nabla": "∇", "partial": "∂", "infty": "∞", "dots": "…", "top": "⊤",
}  # fmt: skip
_OPERATORS = {
    "le": "≤", "ge": "≥", "ne": "≠", "in": "∈", "to": "→", "Rightarrow": "⇒", "iff": "⇔", "propto": "∝",
    "approx": "≈", "pm": "±", "cdot": "⋅", "times": "×", "sum": "∑", "int": "∫", "forall": "∀",
    "|": "‖", "{": "{", "}": "}", "%": "%",
}  # fmt: skip
_CHARACTERS = {"-": "−", "*": "∗"}
_FUNCTIONS = frozenset(("log", "exp", "det", "min", "max", "sup", "inf", "arg", "sin", "cos"))
_ACCENTS = {"bar": "¯", "hat": "^", "tilde": "~"}
_SPACES = {" ": 0.33, ",": 0.17, ";": 0.28}
_DOUBLE = {"E": "𝔼", "R": "ℝ"}
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_BREAKS = frozenset("=<>≤≥≠∈→⇒⇔∝≈+−")
_SPACED = _BREAKS | frozenset("±×⋅,:;∑∫")


class _Unknown(Exception):
    """LaTeX beyond what is known here."""


def formula_html(latex: str) -> str:
    """Escaped HTML that shows a formula; the LaTeX itself, as code, where some of it is not known here."""
    try:
        shown = "".join(_pieces(latex))
    except _Unknown:
        return f"<code>{escape(latex)}</code>"
    return f'<span class="formula" title="{escape(latex)}">{shown}</span>'


def _pieces(latex: str) -> Iterator[str]:
    """Text as text, and each run between two breaks as a <math> of its own."""
    reader, depth = _Reader(latex), 0
    run: list[str] = []
    while reader.peek():
        token = reader.peek()
        if depth == 0 and token == r"\text" and not reader.scripted_text():
            yield _math(run)
            run = []
            plain, *inner = reader.words().split("$")  # $...$ within text is a formula again
            yield escape(plain)
            for i, part in enumerate(inner):
                yield escape(part) if i % 2 else "".join(_pieces(part))
            continue
        if depth == 0 and token == r"\ ":
            reader.take()
            yield _math(run) + " "
            run = []
            continue
        sign = _sign(token)
        if depth == 0 and sign in _BREAKS and run:
            yield _math(run)
            run = []
        depth += (sign in _OPEN) - (sign in _CLOSE)
        run.append(reader.item())
    yield _math(run)


def _math(run: list[str]) -> str:
    return f"<math>{''.join(run)}</math>" if run else ""


def _sign(token: str) -> str:
    """The character that a token shows, or the token."""
    return _OPERATORS.get(token[1:], token) if token.startswith("\\") else _CHARACTERS.get(token, token)


class _Reader:
    def __init__(self, latex: str) -> None:
        self.latex, self.at = latex, 0

    def peek(self) -> str:
        """The next token, without the white space before it; "" at the end."""
        found = _TOKEN.match(self.latex, self.at)
        return found[1] if found else ""

    def take(self) -> str:
        found = _TOKEN.match(self.latex, self.at)
        if not found or not found[1]:
            raise _Unknown
        self.at = found.end()
        return found[1]

    def words(self) -> str:
        r"""The content of \text{...} or \operatorname{...}, its spaces kept."""
        self.take()
        found = re.compile(r"\s*\{((?:[^{}$\\]|\$[^{}$]*\$)*)\}").match(self.latex, self.at)
        if not found:
            raise _Unknown
        self.at = found.end()
        return found[1]

    def scripted_text(self) -> bool:
        """Whether the text that comes next carries an index, and so belongs to the mathematics."""
        start = self.at
        self.words()
        scripted = self.peek() in ("^", "_")
        self.at = start
        return scripted

    def group(self) -> str:
        """An argument: one token, or all in braces, as one element."""
        if self.peek() != "{":
            if self.peek().isdecimal():  # without braces TeX takes one digit
                self.at = self.latex.index(self.peek(), self.at) + 1
                return f"<mn>{self.latex[self.at - 1]}</mn>"
            return self.atom()
        self.take()
        inside = []
        while self.peek() != "}":
            inside.append(self.item())
        self.take()
        return inside[0] if len(inside) == 1 else f"<mrow>{''.join(inside)}</mrow>"

    def item(self) -> str:
        """An atom with its indices and primes."""
        function = self.peek()[1:] in _FUNCTIONS or self.peek() == r"\operatorname"
        base = self.group() if self.peek() == "{" else self.atom()
        below, above = "", ""
        while (token := self.peek()) in ("^", "_", "'"):
            self.take()
            if token == "'":
                above += "<mo>′</mo>"
            elif token == "^":
                above += self.group()
            else:
                below += self.group()
        if above and below:
            base = f"<msubsup>{base}<mrow>{below}</mrow><mrow>{above}</mrow></msubsup>"
        elif above:
            base = f"<msup>{base}<mrow>{above}</mrow></msup>"
        elif below:
            base = f"<msub>{base}<mrow>{below}</mrow></msub>"
        needs_space = function and self.peek() and self.peek() not in r"([,)]}|\bigl"
        return base + _space(0.17) if needs_space else base

    def atom(self) -> str:
        token = self.take()
        if not token.startswith("\\"):
            if token[0].isdigit():
                return f"<mn>{token}</mn>"
            if token in "{}^_&$#~":
                raise _Unknown
            return (
                f"<mi>{escape(token)}</mi>" if token.isalpha() else _operator(_CHARACTERS.get(token, token))
            )
        return self.command(token[1:])

    def command(self, name: str) -> str:
        if name in _LETTERS:
            return f"<mi>{_LETTERS[name]}</mi>"
        if name in _OPERATORS:
            return _operator(_OPERATORS[name])
        if name in _FUNCTIONS:
            return f"<mi>{name}</mi>"
        if name in _SPACES:
            return _space(_SPACES[name])
        if name in _ACCENTS:
            return f'<mover accent="true">{self.group()}<mo stretchy="false">{_ACCENTS[name]}</mo></mover>'
        if name == "sqrt":
            return f"<msqrt><mrow>{self.group()}</mrow></msqrt>"
        if name in ("frac", "tfrac"):
            return f"<mfrac>{self.group()}<mrow>{self.group()}</mrow></mfrac>"
        if name in ("bigl", "bigr"):
            return _operator(_sign(self.take()), ' minsize="1.25em" maxsize="1.25em"')
        if name == "mathbb":
            return f"<mi>{self.double()}</mi>"
        if name in ("text", "mathrm", "operatorname"):
            self.at -= len(name) + 1
            tag = "mtext" if name == "text" else "mi"
            normal = ' mathvariant="normal"' if tag == "mi" else ""
            return f"<{tag}{normal}>{escape(self.words()).replace(' ', '&nbsp;')}</{tag}>"
        if name == "textstyle":
            return ""
        raise _Unknown

    def double(self) -> str:
        letter = self.take()
        if letter == "{":
            letter = self.take()
            if self.take() != "}":
                raise _Unknown
        if letter not in _DOUBLE:
            raise _Unknown
        return _DOUBLE[letter]


def _operator(sign: str, size: str = ' stretchy="false"') -> str:
    """A sign between operands keeps its space though a piece begins with it; a fence or slash has none."""
    if not sign or sign.isspace():
        raise _Unknown
    space = ' form="infix"' if sign in _SPACED else ' lspace="0" rspace="0"'
    return f"<mo{space}{size}>{escape(sign)}</mo>"


def _space(em: float) -> str:
    return f'<mspace width="{em}em"></mspace>'
