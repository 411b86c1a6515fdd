"""Models of Keras 2, which Keras 3 does not open, rebuilt from Keras 3's own layers.

model           a model's configuration -> its parts, with models in models
graph           how the layers of a functional model are connected
layers          a layer's configuration -> a layer of Keras 3
activations     Keras 2's activations by name
operations      TensorFlow's functions in a model -> keras.ops
tf_nodes        the same, as TensorFlow 2.0 to 2.3 stored them
weights          the weights that a model needs, their names and their order
hdf5_weights     the weights in an HDF5 file of a whole model -> the parts
archive_weights  the weights in a .keras file -> the parts
part            a part of a model: a layer, or a model with parts
"""
