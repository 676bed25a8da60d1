"""The ground floor: errors, text, files, command lines, progress, the machine, and the door for others' files.

Imports nothing else of this project.
"""

import os

# HDF5 locks each file that it opens, and fails where the file system has no locks: with Keras' weights, after training.
# None of our files changes once it has its name, so there is nothing to lock. HDF5 asks when it is first imported.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
