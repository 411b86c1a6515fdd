"""One writer for each format.

saved_model       keras.Model -> SavedModel
tflite            SavedModel -> TFLite
tflite_metadata   labels and description inside a TFLite file
onnx              keras.Model -> ONNX in float32 and float16
"""
