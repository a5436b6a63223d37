"""Key that signs webhooks: a file in the data folder that only its owner can read, created on first use."""

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
    """Key of a data folder.

    Raises:
        InvalidInputError: The file does not contain a key.
        PermanentError: The file can be neither read nor created.
    """
    file = data / KEY_FILE
    try:
        if not file.exists():
            _create_key_file(file)
        return parse_key(file.read_text("ascii", "replace"), str(file))
    except OSError as error:
        raise PermanentError(
            f"{file}, which webhooks are signed with, cannot be read or created ({error.strerror}); make it "
            "readable"
        ) from error


def is_readable_by_others(data: Path) -> bool:
    """Whether other users than its owner can read the key."""
    with contextlib.suppress(FileNotFoundError):
        return bool(stat.S_IMODE((data / KEY_FILE).stat().st_mode) & 0o077)
    return False


def _create_key_file(file: Path) -> None:
    """Create the key atomically; of several processes, one succeeds."""
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
