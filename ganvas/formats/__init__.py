"""The structure of JPEG, PNG and WebP files: what they state before anything is decoded, and their picture alone.

The picture is the first image of a file. A file may hold far more: text, profiles, previews, other frames, thousands of empty
blocks. Pillow reads all of it, some of it slowly or into memory. So each module here walks over the blocks of a file within
the bounds in `ganvas.formats.limits`, and copies only what the first picture is made of. Pillow's decoders see nothing else.
"""
