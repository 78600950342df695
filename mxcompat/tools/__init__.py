"""Commands for files and for the installation."""
