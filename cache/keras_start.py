"""Starting Keras, and keeping off the terminal what its C code prints."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


def start_keras() -> None:
    """Imports Keras and starts its backend without showing its remarks about the processor."""
    with quiet_stderr():
        import keras

        keras.ops.zeros(())


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hides what C code prints to stderr; if the block raises, prints it after all."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        except BaseException:
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            os.write(terminal, file.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
