"""Packs the stages below `reelcheck.stages`, so that installing puts nothing but `reelcheck` into an environment.

In the checkout `base`, `cache`, `extract`, `train`, `evaluate` and `detect` are packages of their own. Installed like
that, they would overwrite Hugging Face's `evaluate`, and hide anybody's `train.py`. So the wheel has them one level
down, and their imports of each other, always written `from train.data.split import ...`, say so.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

STAGES = ("base", "cache", "extract", "train", "evaluate", "detect")
HOME = "reelcheck.stages"
IMPORT = re.compile(rf"^(\s*)from ({'|'.join(STAGES)})(?=[.\s])", re.MULTILINE)


class BuildBelowReelcheck(build_py):
    """Copies each module and gives its imports of the stages the name that these have when installed."""

    def build_module(self, module, module_file, package):
        """Copies the module and rewrites the copy."""
        copy, copied = super().build_module(module, module_file, package)
        if not self.editable_mode:
            path = Path(copy)
            path.write_text(IMPORT.sub(rf"\1from {HOME}.\2", path.read_text(encoding="utf-8")), encoding="utf-8")
        return copy, copied


def packages() -> list[str]:
    """The packages of the wheel, by the names they are installed under."""
    rooms = [stage if not room else f"{stage}.{room}" for stage in STAGES for room in ("", *find_packages(stage))]
    return ["reelcheck", *(f"{HOME}.{room}" for room in rooms)]


setup(
    packages=packages(),
    package_dir={f"{HOME}.{stage}": stage for stage in STAGES},
    package_data={"": ["*.css", "*.js", "static/*", "templates/*", "weights/*"]},
    cmdclass={"build_py": BuildBelowReelcheck},
)
