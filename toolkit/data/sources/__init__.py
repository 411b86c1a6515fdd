"""What DATA names, before any image is opened: each source is a function from a path to a Listing.

listing         Entry, Rejected, Listing; the names that parts go by
open            which source DATA is
class_folders   a folder with a sub-folder for each class, or with train/, val/, test/ above them
csv_file        a CSV `path,label[,split]`
"""
