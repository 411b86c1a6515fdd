"""The library: a folder of images in, a fine-tuned and measured Keras model out.

    run          the run folder: what a run is
    earlier_version  a run that was begun by an earlier version: what stays as it was
    settings     Settings: all that, besides the data, determines a run
    settings_rules   the values that they may have, and which of them a search may vary
    chosen_folds     how many folds judge a trial where the user does not say
    setting_words    a setting in which two runs differ, in words
    checks       values of a settings record, checked by a table of rules
    errors       the two exceptions whose text is for the user; names in one line
    progress     how long work reports
    data         DATA -> the images that it names, checked, split, decoded
    pixels       an image file -> uint8 [S, S, 3]; one augmented view
    models       ModelSpec -> keras.Model, with pre-trained weights       (TensorFlow)
    own          parts of a training that the caller brings: functions and Keras objects   (TensorFlow)
    training     the head stage, then fine-tuning; the learning curve     (TensorFlow)
    evaluation   a run's model on its test part, and the plots of it      (TensorFlow)
    stats        probabilities and labels -> accuracy, intervals, tests
    storage      files that are whole, read safely, written by one process at a time
    untrusted    models and weights of strangers: checked, then loaded
    to_onnx      keras.Model -> ONNX graph                                (TensorFlow)
    process      signals, native libraries' output, processors

Folders with a mark hold modules that load TensorFlow; all others load neither TensorFlow nor Keras.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime, from 1.29 on, reports to its makers without it
