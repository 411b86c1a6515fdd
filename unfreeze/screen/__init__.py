"""Output on the terminal.

terminal           progress, epochs and trials while a command works
time_left          how long a search will still take
tables             results of data, search and evaluation
export_tables      results of export and verification
threshold          below what exported files are unsure
model_file_tables  what is in a model file
backbones          the table of backbones
front              finalists as files, and what can be had of accuracy, latency and size
"""
