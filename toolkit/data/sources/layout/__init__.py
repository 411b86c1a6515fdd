"""A folder -> what the folders in it stand for. No image is opened; `docs/data.md` lists the layouts, each tested.

record          Layout: what the folders stand for
find            DATA -> Layout: the folder around the classes, with parts or without
divided         train/, val/ and test/ with a sub-folder for each class
undivided       a sub-folder for each class, with parts inside perhaps
doubt           folders that would become classes, and are named as if they were something else
nesting         folders in folders: which one is around the classes
unlikely        classes that are none, perhaps: thumbnails, dog - Copy
class_in_name   cat.0.jpg -> cat, for the CSV that people are offered
undecided       what is refused because people have to decide, and in which words
"""
