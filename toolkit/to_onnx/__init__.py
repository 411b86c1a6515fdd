"""keras.Model -> ONNX graph.

graph       the conversion
repairs     what stands between a Keras graph and a right ONNX file
canonical   names and order that repeat from one conversion to the next
"""
