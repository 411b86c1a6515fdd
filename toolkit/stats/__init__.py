"""Probabilities and labels -> numbers, and how certain they are.

metrics         accuracy, log loss, calibration error, confusion matrix of one model: `Evaluation`
scores          by what epochs and trials are compared: a table of measures
temperature     one number that makes probabilities as sure as they are right
rejection       answering only where the top probability is high enough
accuracy_lost   two models on the same images: McNemar's test, Tango's bound, a verdict, the images needed for one
recall_lost     the same for each class, with bounds that hold for all of them together
flips           how often two models disagree; whether a model is better than chance
"""
