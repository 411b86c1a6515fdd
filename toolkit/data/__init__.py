"""DATA (a folder or a CSV) -> its images, each checked, with class and part; decoded once.

sources          what DATA names: a folder with a sub-folder for each class, or a CSV
settings         DataSettings: how DATA is read and divided
colours_seen     which of the files have colours other than sRGB's, or transparent pixels
formats_seen     which formats the files have, and how their 16-bit samples are read
image_set        DATA -> ImageSet, every file read and checked
groups           what keeps images in one part: a column, a folder, a part of the path
read_image       an entry whose file was read; labels that copies dispute
copies           files with the same pixels, and nearly the same pictures
components       the connected components of a graph
together         images that must stay in one part
draw             sets of images for parts, by class and content
unlabelled       a folder of images without labels -> ImageSet
image_columns    ImageSet <-> columns in run.json
split            train, val and test: stratified, seeded, by content
folds            folds for cross-validation, drawn as the parts are
decoded_arrays   decoded images on disk, memory-mapped
"""
