"""64-bit hashes of rows, computed by DuckDB; they are stable within one version of DuckDB.

With n known products, a new one is taken for known with probability n / 2^64: 1 in 600 billion for 30
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
    """Hash an expression for each row.

    Args:
        expression: Column names; never text from users.
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
