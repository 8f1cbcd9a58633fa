"""Device values: tensors are copied on their device, and fetched many at once.

Reading a number from a GPU waits for all work that is queued there. A value on a device is therefore
copied on the device, and its dtype and shape decide its kind; its numbers are fetched when they are
needed.
"""
