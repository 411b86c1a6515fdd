"""An image file -> uint8 [S, S, 3], or [S, S, 1] in grey.

limits    checks of a file's header before any decoder runs
decode    the one decoder
resize    bilinear resampling, in numpy
grey      RGB -> one channel
augment   one augmented view of one image
"""
