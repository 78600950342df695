"""The tests of mxcompat; the folders mirror the package."""
