"""A run's model as SavedModel, TFLite and ONNX, in float32, float16 and int8, each proven in its own runtime.

Writing:

    variants     which files there are
    artefacts    Artefact, the manifest, the description, the reference answers
    saved_model  keras.Model -> SavedModel      (TensorFlow)
    tflite       SavedModel -> TFLite           (TensorFlow)
    tflite_metadata  labels and description inside a TFLite file
    onnx         keras.Model -> ONNX, float16   (TensorFlow)
    onnx_int8    ONNX -> int8
    calibration  the training images whose activations set the ranges of int8
    int8         the ways to int8, in the order in which they are tried (TensorFlow)
    attempts     the first way that holds
    golden       images, answers and checkers to prove an app with
    write        a run's model -> all of it     (TensorFlow)

Proving:

    description  what an artefact says of itself, checked
    graph_files  a SavedModel looked through for what reads and writes files
    runners      artefact -> predict function, its runtime imported inside
    measure      artefacts in processes of their own: answers, times, memory
    worker       what runs in such a process
    apart        one function in a process of its own
    precision    what a file from elsewhere takes, and its precision
    parity       reference against artefact -> Parity, the verdict
    verify       a run's artefacts -> parity.json
    tensors      every intermediate tensor of an ONNX or TFLite file
    layers       what each layer adds to the error  (TensorFlow)
    locate       the first layer that differs       (TensorFlow)
    clients      accuracy if an app decodes or resizes in another way
    adapt        what a model from elsewhere takes and gives
    adopt        a model from elsewhere -> a run folder (TensorFlow)
    foreign      a model from elsewhere against what was made of it (TensorFlow)
    predict      any artefact or run, and image files -> class and probability

Modules without a mark load neither TensorFlow nor Keras.
"""
