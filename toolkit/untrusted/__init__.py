"""Files of models and weights from strangers: they are checked before Keras reads them.

keras_file         a file of a whole model, .keras or HDF5 -> keras.Model
archive            what a .keras file holds, checked
hdf5_model         what an HDF5 file of a whole model holds, checked
hdf5               an HDF5 file, checked before any array in it is read
allowed            what the configuration of a Keras 3 model may name
hub_layers         KerasHub's image layers, which a file may name
hub_arguments      what a file may give to them
extent             how much memory a model would take
keras3             the configuration of a Keras 3 model -> keras.Model
single_precision   a configuration -> the same model in float32
keras2             models of Keras 2, rebuilt from Keras 3's layers
"""
