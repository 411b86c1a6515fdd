"""An image file -> uint8 [S, S, 3], or [S, S, 1] in grey.

formats         what a file is, by its first bytes, and what is read
limits          checks of a file's header before any decoder runs
jpeg            the same for a JPEG, and the scale at which it is decoded
tiff            the same for a TIFF, and its first page alone
netpbm          PBM, PGM and PPM, in numpy
bmp             BMPs with unusual masks, in numpy
extra_formats   HEIC and JPEG XL, by the packages of unfreeze[formats]
deep            all 16 bits of Pillow's images
picture         the bytes of a file -> its size, and its pixels when they are asked for
bands           what is computed of a large picture, a band of rows at a time
levels          16 bits -> 8
colours_told    what a file says of its colours: profile, code points, gamma
icc             the ICC profile for numbers that say what colours are
colour          colours -> sRGB
reasons         what a decoder says of a damaged file -> words
decode          the one decoder
look            what tells a copy of a picture from another one
perceptual_hash   64 bits that stay the same when a picture is encoded anew
resize          bilinear resampling, in numpy
grey            RGB -> one channel
pixel_range     the values that a model takes for pixels
augment         one augmented view of one image
"""
