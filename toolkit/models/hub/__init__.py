"""A preset of KerasHub as a backbone: it becomes a Keras file in the run folder, which the settings then name.

preset  what `hub:PRESET` names, and what is known of the file that was made of it
files   the files of a preset, in a folder or downloaded by KerasHub, checked before anything is built
pixels  the preset's image converter -> the range of pixels, and the image size
make    a preset -> a Keras file of a backbone              (TensorFlow)
"""
