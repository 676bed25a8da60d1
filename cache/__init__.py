"""The contract and the store: what every other package agrees on, and the HDF5 folders they pass to each other.

Needs numpy, h5py and xxhash; imports nothing else of this project.
"""
