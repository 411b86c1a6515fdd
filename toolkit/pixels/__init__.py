"""An image file -> uint8 [S, S, 3].

limits    checks of a file's header before any decoder runs
decode    the one decoder
resize    bilinear resampling, in numpy
augment   one augmented view of one image
grey      RGB pixels -> grey ones
"""
