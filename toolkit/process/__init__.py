"""This process and the system.

interrupt   Ctrl-C and SIGTERM
tf32        full float32 precision while answers are computed (NVIDIA cards)
quiet       native libraries' chatter, held back; TensorFlow's start
cores       how many processors this process may use
"""
