"""What is in a model file from anywhere. The file is parsed; nothing in it runs.

flatbuffer           fields of a flatbuffer, each bounded
tflite_graph         TFLite: tensors, operators, precision
tflite_description   TFLite: metadata, and the files packed inside
onnx_graph           ONNX: precision
"""
