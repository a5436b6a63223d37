"""The key of a data folder that webhooks are signed with: a file that its user alone can read, made when it
is first asked for."""

import contextlib
import os
import stat
from pathlib import Path
from secrets import token_hex

from revisit.adapters.local.filesystem import link_if_absent
from revisit.atomic_write import fsync_path
from revisit.domain.webhook_secret import new_key, parse_key
from revisit.errors import PermanentError

KEY_FILE = "signing.key"


def load_webhook_key(data: Path) -> bytes:
    """The key of a data folder.

    Raises:
        InvalidInputError: What is in the file is none.
        PermanentError: It can be neither read nor made.
    """
    file = data / KEY_FILE
    try:
        if not file.exists():
            _create_key_file(file)
        return parse_key(file.read_text("ascii", "replace"), str(file))
    except OSError as error:
        raise PermanentError(
            f"{file}, which webhooks are signed with, cannot be read or made ({error.strerror}); make it readable"
        ) from error


def is_readable_by_others(data: Path) -> bool:
    """Whether users other than its owner can read the key."""
    with contextlib.suppress(FileNotFoundError):
        return bool(stat.S_IMODE((data / KEY_FILE).stat().st_mode) & 0o077)
    return False


def _create_key_file(file: Path) -> None:
    """Whole or not at all; of several that make it at once, one does."""
    aside = file.with_name(f".{KEY_FILE}.{token_hex(8)}")
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(new_key() + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        link_if_absent(aside, file)
        fsync_path(file.parent)
    finally:
        aside.unlink(missing_ok=True)
