r"""Covariances of a mixture: checked, and taken apart into eigenvalues and eigenvectors.

The eigenvalues of S = D H D, D = diag(sqrt(S_kk)), are fixed by the rounded entries of S to about 2e-16 times the
condition number of the correlation matrix H, whatever the scales in D are [demmel1992]. A common eigensolver knows
them to 2e-16 of the largest only, so matrices of uneven scales go through a Cholesky factor and one-sided Jacobi
rotations, which keep the small ones.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import as_float, check_finite, offenders
from .errors import InvalidParameterError

__all__ = ["SHAPES", "decompose"]

Array = NDArray[np.float64]
SHAPES = {"spherical": "(C,)", "diag": "(C, d)", "tied": "(d, d)", "full": "(C, d, d)"}

_EPS = 2.0**-52
_UNEVEN = 100.0  # ratio of variances up to which the common eigensolver loses less than two digits
_SLACK = 1e-13  # relative to the largest eigenvalue: a negative one that rounding of the entries explains
_LARGEST = 1e200  # beyond, squares of distances overflow


def decompose(covariances: ArrayLike, kind: str, count: int, d: int) -> tuple[Array, Array | None]:
    """Eigenvalues (C or 1, d or 1) >= 0 and eigenvectors in columns (C or 1, d, d; None for the axes).

    Eigenvalues within rounding of zero, by the scale of their own direction, are exactly 0.
    Raises InvalidParameterError for shapes, nan, asymmetry, and negative eigenvalues beyond rounding.
    """
    if kind not in SHAPES:
        raise InvalidParameterError(
            f"GaussianMixture: covariance_type must be one of {', '.join(SHAPES)}; got {kind!r}"
        )
    s = as_float("GaussianMixture", "covariances", covariances)
    wanted = {"spherical": (count,), "diag": (count, d), "tied": (d, d), "full": (count, d, d)}[kind]
    if s.shape != wanted:
        raise InvalidParameterError(
            f"GaussianMixture: {kind} covariances must have shape {SHAPES[kind]} = {wanted}; got {s.shape}"
        )
    check_finite("GaussianMixture", "covariances", s)
    if (np.abs(s) > _LARGEST).any():
        raise InvalidParameterError(
            f"GaussianMixture: covariances must stay below {_LARGEST:g}; they do not at "
            f"{offenders(np.abs(s) > _LARGEST)}. Scale the data"
        )
    if kind in ("spherical", "diag"):
        s = s.reshape(count, -1)
        for i in np.flatnonzero(s.min(1) < 0)[:1]:
            _refuse(int(i), s[i].min())
        return s, None
    s = s.reshape(-1, d, d)
    skew = np.abs(s - s.swapaxes(1, 2)).max((1, 2)) - 1e-8 * np.abs(s).max((1, 2))
    if (skew > 0).any():
        i = int(np.argmax(skew))
        raise InvalidParameterError(
            f"GaussianMixture: covariances must be symmetric; component {i} differs from its transpose by "
            f"{np.abs(s[i] - s[i].T).max():.3g}. Take 0.5 * (S + S.T) if that is meant"
        )
    parts = [_eigen(i, 0.5 * (block + block.T)) for i, block in enumerate(s)]
    return np.stack([spectrum for spectrum, _ in parts]), np.stack([basis for _, basis in parts])


def _refuse(i: int, smallest: float) -> NoReturn:
    raise InvalidParameterError(
        "GaussianMixture: covariances must be positive semi-definite; "
        f"component {i} has smallest eigenvalue {smallest:.6g}"
    )


def _eigen(i: int, s: Array) -> tuple[Array, Array]:
    """Eigenvalues (d,) and eigenvectors (d, d) of component i, symmetric s."""
    d, variances = len(s), np.diagonal(s)
    if variances.max() <= _UNEVEN * variances.min():
        spectrum, basis = np.linalg.eigh(s)
        if spectrum[0] < -_SLACK * d * spectrum[-1]:
            _refuse(i, spectrum[0])
        return np.where(spectrum > _EPS * d * spectrum[-1], spectrum, 0.0), basis
    rows = np.abs(s).max(1)
    noise = _EPS * d * rows.max()
    # As given; failing that, without the directions that hold nothing but rounding of the largest entry.
    for live, least in ((variances > 0, 0.0), ((variances > 0) & (rows > noise), noise)):
        scale = np.sqrt(variances[live])
        correlation = s[np.ix_(live, live)] / scale / scale[:, None]
        if (rows[~live] <= least).all() and (np.linalg.eigvalsh(correlation) >= -_SLACK * d).all():
            spectrum, basis = np.zeros(d), np.eye(d)
            spectrum[live], basis[np.ix_(live, live)] = _jacobi(correlation, scale)
            return spectrum, basis
    return _refuse(i, np.linalg.eigvalsh(s)[0])


def _jacobi(correlation: Array, scale: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of D H D from the singular values of R D, with H = RᵀR by pivoted Cholesky."""
    from scipy.linalg import lapack

    factor, pivots, rank, _ = lapack.dpstrf(correlation)  # stops at pivots below d eps
    root = np.empty_like(correlation)
    root[:, pivots - 1] = np.triu(factor)
    root[rank:] = 0.0
    values, _, basis, work, _, status = lapack.dgejsv(root * scale, joba=0, jobu=3, jobv=0, jobp=0)
    if status != 0:
        raise np.linalg.LinAlgError(f"dgejsv did not converge (status {status})")
    return np.square(values * (work[0] / work[1])), basis
