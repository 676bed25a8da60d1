"""The house stands as drawn: imports point one way, rooms are small, and each command loads only what it uses."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests import ROOT

ORDER = ["base", "cache", "extract", "train", "evaluate", "detect"]
STATS = "evaluate/stats"
# Training reaches for videos and backbones only to fine-tune them.
MAY_IMPORT_EXTRACT = {"train/end_to_end/finetune.py"}
MAY_IMPORT_TENSORFLOW = {"detect/detector/formats.py", "extract/backbones/engines.py", "train/runs/live.py"}
MOST_MODULES = 12
DOOR = "base/outside/"
"""Where files that anybody may have written are opened and decoded."""
READS = ("open", "read_text", "read_bytes", "load", "loads", "loadtxt", "genfromtxt", "fromfile", "File", "ZipFile")
"""How calls end that open a file, or take apart what was in one."""
# Call: why it reads something else than a file that anybody may have written, or who guards it instead.
MAY_READ = {
    "base/files.py: os.open": "a folder, to flush or lock it",
    "base/temporary.py: (path / LOCK).open": "never read, only locked",
    "cache/store.py: os.open": "a folder, to lock it",
    "train/sweep/study.py: os.open": "a folder, to lock it",
    "cache/hdf5.py: h5py.File": "the door for HDF5",
    "base/machine/": "what the system says of itself",
    "reelcheck/quickstart.py: webbrowser.open": "shows a page that was just written",
    "evaluate/page/markup.py: Path(__file__).with_name('page.css').read_text": "the package's own",
    "evaluate/page/markup.py: Path(__file__).with_name('sort.js').read_text": "the package's own",
    "detect/web/pages.py: (HERE / 'static' / 'page.css').read_text": "the package's own",
    "detect/playlists.py: av.open": "what was just written",
    "detect/addresses.py: opener.open": "an address",
    "detect/detector/formats.py: tf.saved_model.load": "what was just written",
    "detect/clips/results_file.py: path.open": "looked at first, and read a line at a time",
    "extract/video/": "clips, which workers decode under limits",
}
# Folder: why it has more.
MAY_BE_LARGER: dict[str, str] = {}


def sources(*packages: str) -> list[Path]:
    """Every module of `packages`, relative to the root."""
    found = [path.relative_to(ROOT) for package in packages for path in (ROOT / package).rglob("*.py")]
    assert len(found) > len(packages)
    return sorted(found)


def imported_modules(path: Path) -> set[str]:
    """The names that a module imports, anywhere in it; `from a import b` gives a and a.b."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by dots"
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def imported(path: Path) -> set[str]:
    """The top-level names that a module imports."""
    return {name.split(".")[0] for name in imported_modules(path)}


def files_imported(path: Path) -> set[Path]:
    """The modules of ours that a module imports."""
    candidates = (Path(name.replace(".", "/") + ".py") for name in imported_modules(path) if name)
    return {file for file in candidates if (ROOT / file).is_file()}


def cycle_in(graph: Mapping[Path, Iterable[Path]]) -> list[str]:
    """One cycle of `graph`, empty if it has none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(node) for node in error.args[1]]
    return []


def names_of(path: Path) -> set[str]:
    """The names that a module defines or imports at its top level, whatever stands around them there."""
    names, waiting = {"__doc__", "__file__", "__version__"}, list(ast.parse((ROOT / path).read_text("utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.expr):
            names |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        else:
            waiting += [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.stmt | ast.expr)]
    return names


def test_every_name_that_is_imported_exists():
    """Also inside functions that no test runs, where the type checker lets it pass."""
    known = {str(path.with_suffix("")).replace("/", "."): path for path in sources(*ORDER, "benchmarks", "reelcheck")}
    for path in sources(*ORDER, "benchmarks", "reelcheck", "tests"):
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in known:
                unknown = {alias.name for alias in node.names} - names_of(known[node.module])
                assert not unknown, f"{path} imports {unknown} from {node.module}, which has no such name"


@pytest.mark.parametrize("package", ORDER)
def test_packages_import_one_way(package):
    later = set(ORDER[ORDER.index(package) + 1 :]) | {"reelcheck", "benchmarks", "tests"}
    for path in sources(package):
        assert not imported(path) & later, f"{path} imports what comes after it"


def test_no_files_import_each_other():
    assert not cycle_in({path: files_imported(path) for path in sources(*ORDER, "benchmarks")})


def test_no_rooms_import_each_other():
    """A `__main__` is a door: it leads into every room and belongs to none."""
    graph: dict[Path, set[Path]] = {}
    for path in sources(*ORDER):
        if path.name != "__main__.py":
            rooms = {file.parent for file in files_imported(path)} - {path.parent}
            graph.setdefault(path.parent, set()).update(rooms)
    assert not cycle_in(graph)


def test_a_cycle_would_be_found():
    one, two, three = Path("a"), Path("b"), Path("c")
    assert set(cycle_in({one: [two], two: [three], three: [one]})) == {"a", "b", "c"}
    assert not cycle_in({one: [two, three], two: [three]})


def test_a_room_is_small_enough_to_know():
    rooms: dict[str, int] = {}
    for path in sources(*ORDER, "benchmarks"):
        if path.name != "__init__.py":
            rooms[str(path.parent)] = rooms.get(str(path.parent), 0) + 1
    assert {room: count for room, count in rooms.items() if count > MOST_MODULES and room not in MAY_BE_LARGER} == {}
    assert len(rooms) > len(ORDER)


def test_no_module_is_named_after_its_only_public_function():
    """`from a.train import train` would leave nobody sure which of the two `train` is."""
    for path in sources(*ORDER):
        body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        functions = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert [name for name in functions if not name.startswith("_")] != [path.stem], path


def test_every_folder_says_what_is_in_it():
    for path in sources(*ORDER):
        text = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        assert text, path


def test_tests_lie_in_folders_of_the_same_shape():
    for path in sources("tests"):
        room = path.parent.relative_to("tests")
        assert (ROOT / room).is_dir(), f"{path} tests no folder {room}"


def test_only_fine_tuning_takes_extract_into_training():
    for path in sources("train"):
        assert "extract" not in imported(path) or str(path) in MAY_IMPORT_EXTRACT, path


@pytest.mark.parametrize("path", sources(STATS))
def test_the_numbers_stand_alone(path):
    """They know neither stores nor runs: anyone may take them elsewhere. Long counting shows a bar."""
    others = files_imported(path) - {Path("base/progress.py")}
    assert {str(file.parent) for file in others} <= {STATS, "base/machine"}


def test_only_one_engine_one_export_and_one_log_file_know_tensorflow():
    for path in sources(*ORDER):
        assert "tensorflow" not in imported(path) or str(path) in MAY_IMPORT_TENSORFLOW, path


def reads(path: Path) -> Iterator[str]:
    """The calls of a module that open a file to read it, or take apart what was in one."""
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)).split(".")[-1] in READS:
            words = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant)]
            writes = any(word in ("w", "wb") for word in words)
            own = ast.unparse(node).startswith("json.loads(json.dumps(")
            if ("." in name or name == "open") and not (writes or own):
                yield f"{path}: {name}"


def test_files_of_strangers_come_through_one_door():
    found = {call for path in sources(*ORDER, "reelcheck") if not str(path).startswith(DOOR) for call in reads(path)}
    assert {call for call in found if not call.startswith(tuple(MAY_READ))} == set()
    assert {known for known in MAY_READ if not any(call.startswith(known) for call in found)} == set()


def loaded_by(statement: str) -> set[str]:
    program = f"{statement}; import sys; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in found.stdout.split()}


def test_training_a_head_loads_no_video_code():
    others = {"cv2", "av", "extract", "matplotlib"}
    assert not loaded_by("import train.__main__, train.fit") & others
    # The command itself, up to the first thing that it asks of the disk.
    assert not loaded_by(
        "import contextlib, train.__main__, base.errors\n"
        "with contextlib.suppress(base.errors.UserError): train.__main__.main(['fit', '--features', 'absent'])\n"
        "import sys"
    ) & (others | {"keras"})


@pytest.mark.slow
def test_training_on_crops_loads_no_video_code_before_it_needs_a_backbone():
    stages = "from train.end_to_end import finetune, cnn3d, augment"
    assert not loaded_by(stages) & {"cv2", "av", "extract", "keras"}
    # Keras brings cv2 along.
    assert not loaded_by("from train.end_to_end import loop, crops, finetune, cnn3d") & {"av", "extract"}


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
