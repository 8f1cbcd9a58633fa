"""What runs inside the environment of each tool: a small class for each way to log with it.

``protocol.py`` has the methods, ``__main__.py`` what is done with them, ``study.py`` another task.
All other files are contenders. They import their tools, so none of them imports another.
"""
