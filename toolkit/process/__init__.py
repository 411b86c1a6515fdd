"""This process and the system.

interrupt   Ctrl-C and SIGTERM
quiet       native libraries' chatter, held back; TensorFlow's start
cores       how many processors this process may use
"""
