"""The house stands as drawn: imports point one way, and each command loads only what it uses."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ["cache", "extract", "train", "evaluate", "detect"]
PURE = ["evaluate.bootstrap", "evaluate.metrics", "evaluate.paired", "evaluate.calibrate"]
# Training reaches for videos and backbones only to fine-tune them.
MAY_IMPORT_EXTRACT = {"finetune.py"}


def imported(path: Path) -> set[str]:
    """The top-level names that a module imports, anywhere in it."""
    return {name.split(".")[0] for name in imported_modules(path)}


def imported_modules(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            assert node.level == 0, f"{path} imports by dots"
    return names


def module_file(name: str) -> Path:
    return ROOT / (name.replace(".", "/") + ".py")


@pytest.mark.parametrize("package", ORDER)
def test_imports_point_one_way(package):
    later = set(ORDER[ORDER.index(package) + 1 :]) | {"benchmarks", "tests"}
    for path in (ROOT / package).glob("*.py"):
        assert not imported(path) & later, f"{path.name} of {package} imports what comes after it"


def test_only_fine_tuning_takes_extract_into_training():
    for path in (ROOT / "train").glob("*.py"):
        assert "extract" not in imported(path) or path.name in MAY_IMPORT_EXTRACT, path


@pytest.mark.parametrize("name", PURE)
def test_the_numbers_stand_alone(name):
    """They know neither stores nor runs: anyone may take them elsewhere."""
    ours = {module for module in imported_modules(module_file(name)) if module.split(".")[0] in ORDER}
    assert ours <= set(PURE)


def test_only_one_engine_file_and_export_know_tensorflow():
    for package in ORDER:
        for path in (ROOT / package).glob("*.py"):
            assert "tensorflow" not in imported(path) or path.name in ("export.py", "engine_tensorflow.py"), path


def loaded_by(statement: str) -> set[str]:
    program = f"{statement}; import sys; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in found.stdout.split()}


def test_training_a_head_loads_no_video_code():
    others = {"cv2", "av", "extract", "matplotlib"}
    assert not loaded_by("import train.__main__, train.fit") & others
    # The command itself, up to the first thing that it asks of the disk.
    assert not loaded_by(
        "import contextlib, train.__main__, cache.schema\n"
        "with contextlib.suppress(cache.schema.UserError): train.__main__.main(['fit', '--features', 'absent'])\n"
        "import sys"
    ) & (others | {"keras"})


def test_training_on_crops_loads_no_video_code_before_it_needs_a_backbone():
    assert not loaded_by("import train.finetune, train.cnn3d, train.augment") & {"cv2", "av", "extract", "keras"}
    # Keras brings cv2 along.
    assert not loaded_by("import train.loop, train.crops, train.finetune, train.cnn3d") & {"av", "extract"}


def test_looking_at_a_store_loads_no_network_code():
    assert not loaded_by("import cache.__main__") & {"keras", "tensorflow", "cv2", "av", "sklearn"}


def test_asking_for_help_is_quick():
    for package in ("extract", "train", "evaluate", "detect"):
        assert not loaded_by(f"import {package}.__main__") & {"keras", "tensorflow", "cv2"}, package


@pytest.mark.parametrize("package", ORDER)
def test_our_packages_are_the_ones_imported(package):
    found = importlib.import_module(package).__file__
    assert found is not None
    assert Path(found).resolve().is_relative_to(ROOT)
