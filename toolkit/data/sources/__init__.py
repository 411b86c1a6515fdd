"""What DATA names, before any image is opened: each source is a function from a path to a `Listing`.

listing         Entry, Rejected, Listing
part_names      the names that people give to parts
reasons         why files were left out, for messages that say that nothing is left
open            DATA -> the function that reads it
walk            which files and folders in a folder count
layout          which folders stand for classes and parts
class_folders   a folder -> the images of its classes
alike           class names that are nearly the same
any_folder      a folder of images without classes
csv_file        a CSV with a row for each image
csv_table       the text of a CSV -> rows and columns
csv_columns     which column has the paths, which the classes, parts and groups
csv_names       names of columns: compared, cut into words, listed
csv_groups      which column has groups that would be passed over
csv_parts       which column has the parts
csv_several     labels that name several classes at once
csv_paths       the paths in a CSV -> files that are there
write_csv       DATA -> a CSV of it, to look at and to edit
"""
