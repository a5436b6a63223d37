"""README and docs: the files they name exist, and the README's layers are those that the tests enforce."""

import re

import pytest

from import_graph import ROOT
from test_architecture import MAY_IMPORT

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
README = (ROOT / "README.md").read_text()


def test_the_layers_of_the_readme_are_those_that_are_enforced():
    rows = re.findall(r"^\| `(\w+)/`(?: \(root\))? \| [^|]+ \| ([\w, ]*) \|$", README, re.MULTILINE)
    layers = {
        "" if folder == "revisit" else folder: {
            "" if name == "root" else name for name in names.split(", ") if name
        }
        for folder, names in rows
    }
    assert layers == MAY_IMPORT


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page):
    """Paths in backticks, relative to the repository or to the library; NAME is a placeholder."""
    text = (ROOT / page).read_text()
    bases = [ROOT, ROOT / "shared" / "revisit"]
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|tf|js|json|md|txt|yaml|in))`", text)
    files = [name for name in named if "NAME" not in name]
    assert not [name for name in files if not any((base / name).exists() for base in bases)]


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_to_files_and_headings(page):
    text = (ROOT / page).read_text()
    for target, _, heading in (
        link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link
    ):
        file = (ROOT / page).parent / target if target else ROOT / page
        assert file.exists(), target
        if heading:
            slugs = {
                re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
                for title in re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            }
            assert heading in slugs, f"{target}#{heading}"


def test_the_readme_names_commands_and_options_that_exist(capsys):
    from revisit.cli import run

    lines = [
        line.split("#")[0]
        for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
        for line in block.splitlines()
    ]
    calls = [line.split() for line in lines if line.startswith("revisit ")]
    assert len(calls) > 10
    for call in calls:
        words = [word for word in call[1:3] if re.fullmatch("[a-z-]+", word)]
        words = words if words[0] in ("subscriptions", "orders") else words[:1]
        assert run([*words, "--help"]) == 0
        help_text = capsys.readouterr().out
        assert not [word for word in call if word.startswith("--") and word not in help_text], call
