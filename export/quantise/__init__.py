"""Ways to an int8 file, and which one is kept.

calibration        the training images whose activations set the ranges
ways               the ways, in the order in which they are tried
first_that_holds   the first way whose file keeps the accuracy
onnx               an ONNX graph -> int8
"""
