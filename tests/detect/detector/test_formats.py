"""Exported networks: what is said where their engine is missing."""

import sys
from pathlib import Path

import pytest

from base.errors import UserError
from detect.detector.formats import load_network


@pytest.mark.parametrize(
    ("format", "package"), [("onnx", "onnxruntime"), ("litert", "ai-edge-litert"), ("openvino", "openvino")]
)
def test_an_engine_that_is_not_installed_is_named_with_its_package(monkeypatch, format, package):
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    for name in [name for name in sys.modules if name.startswith(package.replace("-", "_") + ".")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=f"the engine {format} is not installed .*; pip install {package}\\.$"):
        load_network(Path("absent"), format)
