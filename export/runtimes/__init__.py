"""Model files run by their own runtimes.

kind          what kind of model file a path is
runners       a model file -> predict function, its runtime imported inside
loaders       a module for each runtime
model_input   what a model takes, and images converted to it
answers       what a model answers -> probabilities
labels        files of class names
precision     the precision of a file from elsewhere
processes     processes that hold one artefact each
worker        what runs in such a process
isolated      one function in a process of its own
measure       answers, times and memory of several artefacts
graph_files   a SavedModel looked through for what reads and writes files
tensors       every intermediate tensor of an ONNX or TFLite file
plain_kernels the answers of a file by its runtime's plain kernels
cpu           which instruction sets the processor has
"""
