"""The arrays that the solver was compiled for, whatever was handed in."""

from typing import get_type_hints

import numpy as np
import pytest

from tasks.core.solver.arrays import DTYPES, Book, Limits, no_limits, require_types
from tests.support.books import small_book


@pytest.mark.parametrize("columns", [Book, Limits])
def test_every_annotation_has_its_type(columns: type[Book | Limits]) -> None:
    assert [(name, hint) for name, hint in get_type_hints(columns).items() if hint not in DTYPES] == []


def test_arrays_become_what_the_solver_was_compiled_for() -> None:
    book = small_book(np.random.default_rng(1))
    whole, fixed = book.nav.astype(np.int32), np.repeat(book.cash, 2)[::2]
    fixed.flags.writeable = False
    given = require_types(book._replace(nav=whole, cash=fixed))
    assert given.nav.dtype == given.cash.dtype == np.float64
    assert given.class_start.dtype == np.int64
    assert given.cash.flags.c_contiguous
    assert given.cash.flags.writeable
    assert np.array_equal(given.nav, whole)
    assert np.array_equal(given.cash, fixed)
    assert require_types(no_limits(book)).lot_is_short.dtype == np.bool_
