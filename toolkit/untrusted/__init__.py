"""Models and weights of strangers: checked before Keras sees them.

hdf5         an HDF5 file of weights
keras_file   a .keras file: checked, then loaded
"""
