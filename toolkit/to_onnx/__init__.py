"""keras.Model -> ONNX graph.

graph       the conversion
repairs     of what the converters and onnxruntime get wrong
canonical   names and order that are the same in each conversion, so that files repeat
"""
