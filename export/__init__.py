"""A run's model as SavedModel, TFLite and ONNX, each proven in its own runtime.

    artefacts    Artefact, the manifest, the reference answers
    saved_model  keras.Model -> SavedModel      (TensorFlow)
    tflite       SavedModel -> TFLite           (TensorFlow)
    tflite_metadata  labels and description inside a TFLite file
    onnx         keras.Model -> ONNX            (TensorFlow)
    write        a run's model -> every artefact (TensorFlow)
    runners      artefact -> predict function, its runtime imported inside
    measure      one artefact in a process of its own: answers, latency, load time
    parity       reference against artefact -> Parity
    predict      any artefact or run, and image files -> class and probability

Modules without a mark load neither TensorFlow nor Keras.
"""
