"""``mxcompat check``: a static report of what in scripts, notebooks and symbol files works here, differs, or is missing."""
