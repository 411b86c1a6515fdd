"""Artefacts run by their own runtimes.

runners          artefact -> predict function, its runtime imported inside
inputs_outputs   conversions for models from elsewhere
processes        processes that hold one artefact each
worker           what runs in such a process
isolated         one function in a process of its own
measure          answers, times and memory of several artefacts
inspect_file     what a file from elsewhere takes, and its precision
graph_files      a SavedModel looked through for what reads and writes files
tensors          every intermediate tensor of an ONNX or TFLite file
cpu              which instruction sets the processor has
"""
