"""Models from elsewhere.

look         what a model file takes, in a process of its own
verify       any model file against any other
load_keras   a Keras file -> a model of images and classes             (TensorFlow)
entry        what a Keras model takes, as layers                       (TensorFlow)
answers      its answers -> probabilities, as arrays and as layers     (TensorFlow)
wrap         a model -> one of RGB images and probabilities            (TensorFlow)
adopt        a model -> a run folder                                   (TensorFlow)
"""
