"""Whether this system is one that Reelcheck runs on."""

import importlib.util

NEEDED = ("fcntl", "resource")
"""What Windows lacks of Python: locks of files, and limits of processes."""


def lack_of_system() -> str:
    """Returns why Reelcheck cannot run on this system, "" if it can."""
    if all(map(importlib.util.find_spec, NEEDED)):
        return ""
    return "Reelcheck needs Linux or macOS; on Windows, install and run it within WSL (wsl --install)."
