"""The library: a folder of images in, a fine-tuned and measured Keras model out.

    errors     the one exception that a person can put right; names in one line
    spec       ModelSpec, and the table of backbones with their cut layers
    defaults   what exports and their proof take where nobody says otherwise
    settings   Settings: all that, besides the data, determines a run
    reading    the bytes of a regular file, never of a pipe or a device
    containers what an image file asks for, before any decoder
    images     the one decoder: file -> uint8 [S, S, 3]
    resize     its resampling, in numpy
    layout     DATA -> the files it names, each with label and part
    folder     DATA -> ImageFolder, every file checked
    split      train, val and test: stratified, seeded, by content
    files      files that are whole: written atomically
    lock       one process at a time in a run folder
    run        the run folder: what a run is
    arrays     decoded images on disk, memory-mapped
    augment    one augmented view of one image
    data       what training reads: sources and batches
    model      ModelSpec -> keras.Model; prefix, suffix  (TensorFlow)
    hdf5       weights of strangers: the file, before it is read
    keras_file models of strangers: checked, then loaded
    weights    pre-trained weights into a model          (TensorFlow)
    fit        one stage: the step, the epochs, the callbacks (TensorFlow)
    train      the head stage, then the fine-tuning stage (TensorFlow)
    events     learning curves and hyperparameters for TensorBoard
    mlflow_store  a connection to MLflow, found wrong before anything starts
    tracking   a run's folder -> MLflow
    assess     a run's model on its test part            (TensorFlow)
    evaluate   probabilities and labels -> Evaluation
    onnx_graph keras.Model -> ONNX graph                 (TensorFlow)
    onnx_repairs what stands between a Keras graph and a right ONNX file (TensorFlow)
    onnx_canonical its names and order, left to no chance (onnx)
    plots      matplotlib figures
    report     a package: a run folder -> report.html and report.md
    progress   how long work reports
    pace       how long a search will still take
    quiet      native libraries' chatter, held back
    screen     progress and tables on the terminal
    show       results as people read them
    options    the options that commands share
    api        the public functions: one for each command
    commands   the commands
    interrupt  Ctrl-C and SIGTERM
    cli        the application

Modules without a mark load neither TensorFlow nor Keras.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime, from 1.29 on, reports to its makers without it
