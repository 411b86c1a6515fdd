"""This process and the system.

interrupt   Ctrl-C and SIGTERM
tf32        full float32 precision while answers are computed (NVIDIA cards)
quiet       holds back what native libraries print
keras_start  imports TensorFlow and Keras, set as Unfreeze needs them
cores       how many processors this process may use
"""
