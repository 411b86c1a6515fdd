"""Files of models and weights from strangers: they are checked before Keras reads them.

hdf5         an HDF5 file of weights
keras_file   a .keras file: checked, then loaded
"""
