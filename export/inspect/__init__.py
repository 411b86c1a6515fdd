"""What is in a model file from anywhere. The file is parsed; nothing in it runs.

inspection           a path -> what is in that file, and what follows from it
file_kind            which kind of file it is, by its first bytes
model_file           the records, the same for every format
tflite_file          TFLite: a file -> the records
tflite_graph         TFLite: tensors, operators, precision
tflite_description   TFLite: metadata, and the files packed inside
tflite_support       TFLite: what of a phone runs it
flatbuffer           fields of a flatbuffer, each bounded
onnx_file            ONNX: a file -> the records
onnx_graph           ONNX: nodes, constants, precision
onnx_metadata        labels and pixel values in the metadata of ONNX
onnx_support         ONNX: what runs it
saved_model_file     SavedModel: a folder -> the records
saved_model_graph    SavedModel: operations, variables
keras_file           Keras: a .keras or HDF5 file -> the records
keras_layers         Keras: layers, from the configuration
keras_hdf5           Keras: weights, from HDF5
next_command         the command to type for such a file
own_description      what Unfreeze itself wrote into a file
image_input          the shape of an input -> what kind of image it takes
answers              the output -> the number of classes, and whether it gives probabilities
pixels               which ranges of pixel values are plausible, and why
"""
