"""A module for each runtime, with a function `load(path, threads, output)` that gives a `Loaded`.

loaded        the record, and what all have in common: batches, one output of several
onnx          onnxruntime
tflite        LiteRT
saved_model   TensorFlow
keras         Keras on TensorFlow; answers in float32, with nothing active that is for training
"""
