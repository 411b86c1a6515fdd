"""A run's model as SavedModel, TFLite and ONNX, each file proven in its own runtime.

    settings        what an export is asked for
    limits          what a device allows of a file
    latencies       what a device took, read from files
    probe           an untrained model as one file, measured before any training (TensorFlow)
    finalists       trained models as one file each, measured and asked (TensorFlow)
    variants        which files there are
    artefacts       Artefact, the manifest, the reference answers
    description     what an artefact says of itself, checked
    threshold       below which top probability an image is unsure
    write           a run's model -> all of its files (TensorFlow)
    write_variants  one writer for each variant, a file of one format and precision (TensorFlow)
    intermediates   files and arrays that several variants are made from (TensorFlow)
    predict         any artefact or run, and image files -> class and probability
    formats         one writer for each format
    quantise        ways to an int8 file, and which one is kept
    runtimes        artefacts run by their own runtimes, in processes of their own
    proof           reference against artefact: the verdict, and where a file starts to differ
    inspect         what is in a model file from anywhere
    foreign         models from elsewhere
    targets         what goes along for those who build an app

Modules without a mark load neither TensorFlow nor Keras.
"""
