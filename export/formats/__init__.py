"""One writer for each format.

saved_model       keras.Model -> SavedModel
tflite            SavedModel -> TFLite
tflite_rewrites   what is rewritten in a TFLite file, so that every client takes it
tflite_metadata   labels and description inside a TFLite file
onnx              keras.Model -> ONNX in float32 and float16
onnx_rewrites     what is rewritten in an ONNX graph, so that every client runs it
"""
