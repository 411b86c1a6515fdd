"""Files of a run.

files       files that are whole: written to a temporary name, synced, renamed
safe_read   the bytes of a regular file, never of a pipe or a device
local_path  what people give as a path; a URL is refused
records     JSON objects -> the fields of a dataclass, checked
lock        one process at a time in a run folder
"""
