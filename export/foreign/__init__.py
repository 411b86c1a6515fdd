"""Models from elsewhere.

load_keras  a Keras file -> a model of images and classes  (TensorFlow)
entry       what a model takes, and how RGB images become it (TensorFlow)
answers     what a model answers with, and how that becomes probabilities (TensorFlow)
wrap        a model -> one of RGB images and probabilities (TensorFlow)
adopt       a model -> a run folder                        (TensorFlow)
verify      a model against the files that were made of it (TensorFlow)
"""
