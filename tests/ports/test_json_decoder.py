"""Decoders of JSON are prepared by one thread at a time."""

import subprocess
import sys
import textwrap

PROGRAM = textwrap.dedent("""
    import sys
    from dataclasses import make_dataclass
    from threading import Barrier, Thread

    from revisit.ports.json_decoder import json_decoder

    ROUNDS, THREADS = 60, 4
    sys.setswitchinterval(1e-6)
    kinds = []
    for _ in range(ROUNDS):
        inner = make_dataclass("Inner", [(f"field{number}", int) for number in range(20)])
        kinds.append(make_dataclass("Outer", [(f"field{number}", inner) for number in range(5)]))
    numbers = b"{" + b",".join(b'"field%d": 1' % number for number in range(20)) + b"}"
    text = b"{" + b",".join(b'"field%d": %s' % (number, numbers) for number in range(5)) + b"}"
    barrier, decoded = Barrier(THREADS), []

    def work():
        for kind in kinds:
            barrier.wait(60)
            decoded.append(json_decoder(kind).decode(text))

    threads = [Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.exit(len(decoded) != ROUNDS * THREADS)
""")
"""Decodes into 60 types, each for the first time in four threads at once, as first events of a process do.

With `msgspec.json.decode` itself it ends by an exception or a segmentation fault.
"""


def test_the_first_use_of_a_type_by_several_threads_at_once_succeeds():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=120)
