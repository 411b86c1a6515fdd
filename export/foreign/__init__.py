"""Models from elsewhere.

adopt    a model -> a run folder                        (TensorFlow)
verify   a model against the files that were made of it (TensorFlow)
"""
