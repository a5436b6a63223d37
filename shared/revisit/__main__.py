"""`python -m revisit` is the command `revisit`."""

from revisit.cli import main

main()
