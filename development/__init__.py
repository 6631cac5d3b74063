"""What dev.py does: sets the project up, checks it and runs it. Not part of the package; standard library only.

Imports go one way, from the last of these to the first:

    project, messages          (dev.py imports these two before it knows that the Python is new enough)
    processes
    packages, stamp
    environment
    checks, constraints, real_model
    commands
"""
