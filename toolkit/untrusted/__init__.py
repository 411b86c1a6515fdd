"""Files of models and weights from strangers: they are checked before Keras reads them.

keras_file         a Keras file: checked, then loaded       (imports Keras where it loads)
archive            what a .keras file holds, checked
allowed            what the configuration of a Keras 3 model may name
extent             how much memory a model would take
single_precision   a configuration -> the same model in float32
hdf5               an HDF5 file, checked before any array in it is read
"""
