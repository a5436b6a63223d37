"""Plain technical English: banned words, and the form of module docstrings.

`python tests/test_language.py [PATH ...]` prints every finding below the given paths.
"""

import ast
import io
import re
import sys
import tokenize
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from subprocess import run

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("banned_words.txt")
SUFFIXES = {".css", ".hcl", ".html", ".js", ".json", ".md", ".py", ".tf", ".toml", ".yaml", ".yml"}
EXCLUDED = ("web/vendor/", "tests/test_language.py", "package-lock.json", "locks/", "tests/data/")
MAX_SUMMARY = 110
GERUND = re.compile(r"[A-Z][a-z]+ing\b")
NO_GERUNDS = {
    "Everything",
    "Matching",
    "Monitoring",
    "Nothing",
    "Processing",
    "Rendering",
    "Staging",
    "String",
}
"""Nouns that end like a gerund and may open a module docstring."""


@cache
def banned() -> tuple[re.Pattern[str], dict[str, str]]:
    """One pattern over all banned phrases, and the replacement of each."""
    replacements = {}
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            phrase, replacement = line.split(" -> ")
            replacements[phrase] = replacement
    alternatives = "|".join(
        r"\s+".join(map(re.escape, phrase.split())) for phrase in sorted(replacements, key=len, reverse=True)
    )
    return re.compile(rf"(?<![\w-])(?:{alternatives})(?![\w-])", re.IGNORECASE), replacements


def tracked_files(suffixes: set[str] = SUFFIXES) -> list[str]:
    listed = run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [
        name
        for name in sorted(listed)
        if Path(name).suffix in suffixes and not name.startswith(EXCLUDED) and (ROOT / name).is_file()
    ]


def python_texts(source: str) -> Iterator[tuple[int, str]]:
    """The names, strings and runs of comments of a Python file, each with its first line."""
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("#:! ")
            if comments and comments[-1][0] + comments[-1][1].count("\n") + 1 == line:
                comments[-1] = (comments[-1][0], f"{comments[-1][1]}\n{text}")
            else:
                comments.append((line, text))
        elif token.type == tokenize.NAME and "_" in token.string.strip("_"):
            yield line, token.string.replace("_", " ")
        elif token.type in (tokenize.NAME, tokenize.STRING, tokenize.FSTRING_MIDDLE):
            yield line, token.string
    yield from comments


def texts_of(name: str) -> Iterator[tuple[int, str]]:
    source = (ROOT / name).read_text()
    if name.endswith(".py"):
        yield from python_texts(source)
    else:
        yield 1, source


def findings_in(name: str) -> list[str]:
    """One line per banned phrase: path, line, phrase and replacement."""
    pattern, replacements = banned()
    found = []
    for first, text in texts_of(name):
        breaks = [match.start() for match in re.finditer("\n", text)]
        for match in pattern.finditer(text):
            phrase = " ".join(match[0].lower().split())
            line = first + bisect_right(breaks, match.start())
            found.append(f"{name}:{line}: {phrase!r}: write {replacements[phrase]}")
    return found


def folders(suffixes: set[str] = SUFFIXES) -> list[str]:
    """Folders that are tested one by one: those of the library, of the tests and of the repository."""

    def folder(name: str) -> str:
        parts = name.split("/")
        depth = 3 if name.startswith("shared/revisit/") else 2 if parts[0] == "tests" else 1
        return "/".join(parts[:depth]) + ("/" if len(parts) > depth else "")

    return sorted({folder(name) for name in tracked_files(suffixes)})


@pytest.mark.parametrize("path", folders())
def test_no_banned_word_is_used(path):
    findings = [line for name in tracked_files() if name.startswith(path) for line in findings_in(name)]
    assert not findings, "\n".join(findings)


def test_a_file_is_named_by_a_noun():
    assert not [name for name in tracked_files({".js", ".py"}) if re.search(r"[a-z]ing\.(js|py)$", name)]


@pytest.mark.parametrize(
    ("source", "phrases"),
    [
        ('"""What is put\n    aside."""', ["put aside"]),
        ("x = f'{1} is TOLD of'", ["told"]),
        ("# made\n# anew\nx = 1", ["made anew"]),
        ("def test_who_is_told():\n    pass", ["told"]),
        ("untold = retold_ = 1  # a hold-up of the untold", []),
    ],
)
def test_banned_words_are_found_in_names_strings_and_comments(source, phrases):
    pattern, _ = banned()
    found = [
        " ".join(match[0].lower().split())
        for _, text in python_texts(source)
        for match in pattern.finditer(text)
    ]
    assert found == phrases


def docstring_fault(source: str) -> str:
    """What is wrong with the module docstring of a Python file; empty if nothing is."""
    docstring = ast.get_docstring(ast.parse(source)) or ""
    summary, _, rest = docstring.partition("\n")
    opening = GERUND.match(summary)
    if not summary:
        return "has no module docstring"
    if len(summary) > MAX_SUMMARY:
        return f"first line has {len(summary)} characters, {MAX_SUMMARY} at most"
    if not summary.endswith("."):
        return "first line does not end with a period"
    if rest and not rest.startswith("\n"):
        return "first line is not followed by a blank line"
    if opening and opening[0] not in NO_GERUNDS:
        return f"opens with the gerund {opening[0]!r}"
    return ""


def docstring_faults(path: str = "") -> list[str]:
    return [
        f"{name}: {fault}"
        for name in tracked_files({".py"})
        if name.startswith(path) and (fault := docstring_fault((ROOT / name).read_text()))
    ]


@pytest.mark.parametrize("path", folders({".py"}))
def test_a_module_docstring_says_in_one_line_what_the_module_holds(path):
    assert not docstring_faults(path)


def undocumented_arguments(source: str) -> list[str]:
    """Names under `Args:` that are no parameters of their function."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            section = re.search(r"^Args:\n((?: .*\n?|\n)+)", ast.get_docstring(node) or "", re.MULTILINE)
            documented = re.findall(r"^    \*{0,2}(\w+):", section[1], re.MULTILINE) if section else []
            arguments = node.args
            names = {
                argument.arg
                for argument in (
                    *arguments.posonlyargs,
                    *arguments.args,
                    *arguments.kwonlyargs,
                    *(each for each in (arguments.vararg, arguments.kwarg) if each),
                )
            }
            found += [f"{node.name}({name})" for name in documented if name not in names]
    return found


@pytest.mark.parametrize("path", folders({".py"}))
def test_documented_arguments_exist(path):
    assert not [
        f"{name}: {found}"
        for name in tracked_files({".py"})
        if name.startswith(path) and (found := undocumented_arguments((ROOT / name).read_text()))
    ]


if __name__ == "__main__":
    paths = tuple(sys.argv[1:]) or ("",)
    for name in tracked_files():
        if name.startswith(paths):
            print(*findings_in(name), sep="\n", end="\n" if findings_in(name) else "")
    for path in paths:
        print(*docstring_faults(path), sep="\n")
    for name in tracked_files({".py"}):
        if name.startswith(paths) and (arguments := undocumented_arguments((ROOT / name).read_text())):
            print(f"{name}: Args names no parameter: {', '.join(arguments)}")
