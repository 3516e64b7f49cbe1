"""The tree as published: no machine's paths, no host that packages come from, no link that leads nowhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder

REPOSITORY = Path(__file__).parents[2]

# A path below somebody's home or a work folder. What stands before decides: a URL or a longer path is no such path.
MACHINE_PATH = re.compile(r"(?<![\w.:/~$}-])/(?:home|root|Users|work|farm)/\w")

# Hosts and options that tie an installation to one registry or mirror; pip's own configuration is the place.
REGISTRY = re.compile(
    r"(?:pypi|pythonhosted|npmjs|jfrog|sonatype)\.(?:org|com|io)|repo1?\.maven"
    r"|--(?:extra-)?index-url|--find[-]links|--trusted[-]host"
)


def texts() -> Iterator[tuple[str, str]]:
    """Every text file that would be published: what git ignores is left out, the rest of the tree is not."""
    for file in SdistBuilder(str(REPOSITORY)).recurse_included_files():
        try:
            yield str(Path(file.path).relative_to(REPOSITORY)), Path(file.path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def offences(rule: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if rule.search(line)
    ]


def test_no_file_names_a_path_of_one_machine() -> None:
    assert offences(MACHINE_PATH) == []


def test_no_file_names_a_package_registry() -> None:
    assert offences(REGISTRY) == []


def test_every_link_within_the_documents_leads_to_a_file() -> None:
    links = [
        (name, link.split("#")[0])
        for name, text in texts()
        if name.endswith(".md")
        for link in re.findall(r"\]\(([^)\s]+)\)", text)
        if not re.match(r"https?:|mailto:|#", link)
    ]
    assert len(links) > 10
    assert [
        f"{name}: {link}" for name, link in links if not (REPOSITORY / name).parent.joinpath(link).exists()
    ] == []


def test_the_walk_reaches_code_documents_and_hidden_files() -> None:
    names = {name for name, _ in texts()}
    assert {"Makefile", "README.md", ".gitignore", "backbone/tillroll/errors.py"} <= names
    assert not any(name.startswith((".venv/", ".git/")) for name in names)


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (MACHINE_PATH, "open('{}home/ann/data.csv')".format("/")),
        (MACHINE_PATH, "see {}work/main".format("/")),
        (REGISTRY, "https://{}.org/project/x".format("pypi")),
        (REGISTRY, "pip install {}index-url=x".format("--extra-")),
        (REGISTRY, "https://repo1{}.org/maven2".format(".maven")),
    ],
)
def test_the_rules_find_what_they_are_for(rule: re.Pattern[str], line: str) -> None:
    assert rule.search(line)


@pytest.mark.parametrize(
    "line", ["https://example.org{}home/page".format("/"), "xmlns=http://maven.apache.org/POM/4.0.0"]
)
def test_the_rules_leave_ordinary_addresses_alone(line: str) -> None:
    assert not MACHINE_PATH.search(line)
    assert not REGISTRY.search(line)
