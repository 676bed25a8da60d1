"""README and docs: short, whole, and without a link, a verb or a flag that leads nowhere."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from reelcheck.cli import VERBS
from tests import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings are linked to."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(text(page)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_the_readme_is_read_to_its_end_and_names_every_page():
    readme = text(ROOT / "README.md")
    assert len(readme.splitlines()) <= 130
    assert {page.name for page in PAGES[2:]} <= {Path(link).name for link in LINK.findall(readme)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_verb_is_named_that_is_not_there(page):
    verbs = {*VERBS, "cache"}
    targets = set(re.findall(r"^([a-z0-9-]+):", text(ROOT / "Makefile"), re.MULTILINE)) | verbs
    for typed in re.findall(r"^    (.+)$|`([^`\n]+)`", text(page), re.MULTILINE):
        words = ("".join(typed)).split()
        if len(words) < 2:
            continue
        if words[0] == "make" and re.fullmatch(r"[a-z][a-z0-9-]*", words[1]):
            assert words[1] in targets, " ".join(words)
        if words[0] == "reelcheck" and not words[1].startswith("-") and words[1] != "VERB":
            assert words[1] in verbs, " ".join(words)


def test_the_slow_tests_of_every_folder_are_run_by_a_workflow():
    rooms = re.search(r"room: \[(.+)\]", text(ROOT / ".github/workflows/slow.yml"))
    assert rooms is not None
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    assert set(rooms[1].split(", ")) == folders | {"whole"}
