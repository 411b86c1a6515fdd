"""Models from elsewhere.

look         what a model file takes, in a process of its own
verify       any model file against any other
load_keras   a Keras model, in this process       (TensorFlow)
adopt        a Keras model -> a run folder        (TensorFlow)
"""
