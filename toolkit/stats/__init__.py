"""Probabilities and labels -> numbers, with how sure they are. Plain numpy.

metrics   accuracy, log loss, calibration, confusion: Evaluation
paired    two classifiers on the same images: McNemar's test, Tango's bound
"""
