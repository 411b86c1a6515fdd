"""Models from elsewhere.

load_keras  a Keras file -> a model of images and classes  (TensorFlow)
adopt       a model -> a run folder                        (TensorFlow)
verify      a model against the files that were made of it (TensorFlow)
"""
