"""How good a run's model is.

evaluate_run   a run's model on its test part, or on another folder   (TensorFlow)
results        metrics.json and the answers to the test part
plots          matplotlib figures
"""
