"""64-bit hashes of rows by DuckDB; the same rows give the same hash as long as DuckDB's version is the same.

Among n products known, a new one is taken for known with a chance of n / 2^64: one in 600 billion at thirty
million.
"""

import threading
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_engine_lock = threading.Lock()


def hash_rows(expression: str, rows: "pa.Table") -> "NDArray[np.uint64]":
    """Of some columns of rows.

    Args:
        expression: Names of columns; never words of users.
        rows: In any number.
    """
    with _engine_lock:
        _engine().register("rows", rows)
        try:
            hashed: NDArray[np.uint64] = (
                _engine().execute(f"select hash({expression}) as h from rows").fetchnumpy()["h"]  # noqa: S608
            )
            return hashed
        finally:
            _engine().unregister("rows")


@cache
def _engine() -> Any:
    import duckdb

    engine = duckdb.connect(config={"threads": 1})
    engine.execute(
        "set python_enable_replacements=false; set enable_external_access=false; set lock_configuration=true"
    )
    return engine
