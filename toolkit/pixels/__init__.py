"""An image file -> uint8 [S, S, 3].

limits    what an image file asks for, looked at before any decoder runs
decode    the one decoder
resize    its resampling, in numpy
augment   one augmented view of one image
"""
