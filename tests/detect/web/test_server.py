"""The web server below the page: room for the connections that it lets in."""

import resource

import pytest
from starlette.applications import Starlette

from detect.web.guards.connections import MOST
from detect.web.server import serve
from tests.detect.web.test_web import free_port


@pytest.fixture
def few_files():
    """At first, macOS lets a process open 256 files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_as_many_connections_as_are_let_in_can_be_opened(few_files):
    with serve(Starlette(), "127.0.0.1", free_port()):
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 2 * MOST
