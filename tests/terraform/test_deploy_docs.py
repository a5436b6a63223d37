"""docs/deploy.md: commands are well formed and name things that exist, and the costs add up."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from data import skip_or_fail
from import_graph import ROOT

PAGE = (ROOT / "docs" / "deploy.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
VARIABLES = set(
    re.findall(r'^variable "(\w+)"', (ROOT / "terraform" / "variables.tf").read_text(), re.MULTILINE)
)


@pytest.mark.parametrize("commands", COMMANDS, ids=lambda text: text.split("\n")[0][:50])
def test_commands_are_well_formed(commands):
    checked = subprocess.run(["bash", "-n"], input=commands, text=True, capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_commands_name_variables_outputs_and_files_that_exist():
    text = "\n".join(COMMANDS)
    settings = re.search(r"tfvars <<END\n(.*?)END", text, re.DOTALL)[1]
    assert set(re.findall(r"^(\w+) +=", settings, re.MULTILINE)) <= VARIABLES
    assert set(re.findall(r"-var=['\"]?(\w+)=", PAGE)) <= VARIABLES
    outputs = set(
        re.findall(r'^output "(\w+)"', (ROOT / "terraform" / "outputs.tf").read_text(), re.MULTILINE)
    )
    assert set(re.findall(r"output -raw (\w+)", text)) | set(re.findall(r"outputs? `(\w+)`", PAGE)) <= outputs
    assert all((ROOT / name).is_file() for name in re.findall(r"\btests/[\w/]+\.(?:py|txt)", PAGE))


def test_commands_of_gcloud_exist_with_their_options():
    """Checked against the command tree of gcloud's own completion."""
    gcloud = shutil.which("gcloud")
    file = (
        Path(gcloud).resolve().parents[1] / "data" / "cli" / "gcloud_completions.py"
        if gcloud
        else Path("/nowhere")
    )
    if not file.is_file():
        skip_or_fail("gcloud", "its table of commands")
    tree = ast.literal_eval(file.read_text().partition("STATIC_COMPLETION_CLI_TREE = ")[2])
    text = re.sub(r"\\\n", " ", "\n".join([*COMMANDS, *re.findall(r"`(gcloud [^`]+)`", PAGE)]))
    calls = re.findall(r"gcloud ((?:[a-z][a-z0-9-]* ?)+)([^\n|)#]*)", text)
    assert len(calls) > 25
    for words, rest in calls:
        node, path = tree, words.split()
        while path and path[0] in node.get("commands", {}):
            node = node["commands"][path.pop(0)]
        assert not node.get("commands"), f"gcloud {words}"
        known = {*tree["flags"], *node["flags"], "--help"}
        used = set(re.findall(r"(?<!\S)(--[a-z-]+)", words + rest.replace("`", " ")))
        assert used <= {*known, *(flag.replace("--no-", "--") for flag in known)}, (
            f"gcloud {words}: {used - known}"
        )


@pytest.mark.parametrize(
    "words",
    sorted(set(re.findall(r"^revisit ([a-z-]+(?: (?:create|list)\b)?)", "\n".join(COMMANDS), re.MULTILINE))),
)
def test_commands_of_revisit_exist(words):
    done = subprocess.run(
        [sys.executable, "-m", "revisit", *words.split(), "--help"], text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    options = {
        option
        for line in "\n".join(COMMANDS).splitlines()
        if line.startswith(f"revisit {words}")
        for option in re.findall(r" (--[a-z-]+)", line)
    }
    assert all(option in done.stdout for option in options), options


def test_jobs_secrets_and_buckets_are_those_of_terraform():
    terraform = "\n".join(path.read_text() for path in (ROOT / "terraform").glob("*.tf"))
    assert 'replace("revisit-${each.key}", ".", "-")' in terraform
    assert "revisit-catalog-refresh" in PAGE
    assert '"catalog.refresh" = { schedule' in terraform
    secrets = set(re.findall(r'^  secret_id +(?:=) "(revisit-[\w-]+)"', terraform, re.MULTILINE))
    assert secrets == {"revisit-signing-key"}
    assert set(re.findall(r"--secret=([\w-]+)", PAGE)) == secrets
    services = re.search(r"services = toset\(\[(.*?)\]\)", terraform, re.DOTALL)[1].count('"') // 2
    assert f"All {services} services" in PAGE


def test_the_deploying_account_gets_the_roles_that_are_listed():
    listed = set(re.findall(r"`roles/([\w.]+)`", PAGE[: PAGE.index("## Deploy\n")])) - {
        "billing.costsManager"
    }
    granted = set(re.search(r"for role in (.*?); do", PAGE, re.DOTALL)[1].replace("\\", "").split())
    assert granted - listed == {
        "logging.logWriter"
    }  # a build writes its log; a person at a terminal does not
    assert listed <= granted
    account = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())["serviceAccount"]
    assert "service-accounts create revisit-deploy" in PAGE
    assert "/revisit-deploy@" in account


def test_the_costs_add_up():
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in PAGE[PAGE.index("| what | quantity") :].splitlines()[2:]
        if line.startswith("|")
    ]
    rows = rows[: next(number for number, row in enumerate(rows) if row[0] == "**sum**") + 1]
    costs, beyond = [], []
    for _, quantity, _, price, cost, free, rest in rows[:-1]:
        assert float(cost) == pytest.approx(float(quantity) * float(price), abs=0.0051)
        assert float(rest) == pytest.approx(
            max(0.0, float(quantity) - float(free)) * float(price), abs=0.0051
        )
        costs.append(float(cost))
        beyond.append(float(rest))
    assert (f"**{sum(costs):.2f}**", f"**{sum(beyond):.2f}**") == (rows[-1][4], rows[-1][6])
    assert f"{20 * 2 * (0.000024 + 2 * 0.0000025) * 3600:.2f} dollars an hour" in PAGE


def test_the_hourly_maximum_follows_from_the_defaults():
    functions = (ROOT / "terraform" / "functions.tf").read_text()
    assert re.search(
        r'variable "backlog_max_instances".*?default += 20\n',
        (ROOT / "terraform" / "variables.tf").read_text(),
        re.DOTALL,
    )
    assert len(re.findall(r'memory = "2Gi".*max_instances = var.backlog_max_instances', functions)) == 2
