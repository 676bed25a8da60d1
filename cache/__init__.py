"""The data contract and the store: the types that every package shares, and the HDF5 folders passed between them.

Needs numpy, h5py and xxhash.
"""
