"""An image file -> uint8 [S, S, 3], or [S, S, 1] in grey.

limits    checks of a file's header before any decoder runs
decode    the one decoder
look      what tells a copy of a picture from another one
perceptual_hash   64 bits that stay the same when a picture is encoded anew
resize    bilinear resampling, in numpy
grey      RGB -> one channel
augment   one augmented view of one image
"""
