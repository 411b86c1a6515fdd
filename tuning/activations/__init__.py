"""Activations of the frozen prefix at each cut, computed once and shared by all trials.

prefix   the frozen prefix as a function, in the faster runtime
passes   one view of the images through the prefix, written as arrays; an interrupted pass goes on
cache    the arrays of a search space, and what they depend on
"""
