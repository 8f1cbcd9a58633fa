"""Tensors on a device: copied there as they are, and fetched many at once.

To read a number from a GPU stops the program until all that is queued there is done. A value that is
on a device is therefore copied there, which takes no wait, and its kind is known by its dtype and
shape; its numbers are fetched when somebody needs them.
"""
